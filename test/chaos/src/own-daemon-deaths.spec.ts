import { existsSync } from 'node:fs';
import type { Content } from '@dragonfly/testkit';
import type { ChaosCluster } from './chaos-cluster.js';
import { expectClearFailure, expectNoneAgain, expectRight, trafficOf } from './expectations.js';
import { restoredCluster } from './restored-cluster.js';
import { SlowFiles } from './slow-files.js';

const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 240_000;
/** What the origin may have handed to connections of a process before it noticed that the process was killed. */
const IN_FLIGHT_BYTES = 2 * MIB;
const WENT_ON = /waiting up to 10 s for it to come back\n.*a daemon answers again/;

describe('kill -9 of the daemon that dfget downloads by', () => {
  let cluster: ChaosCluster;
  let files: SlowFiles;

  restoredCluster({ peers: 2 }, (started) => {
    cluster = started;
    files = new SlowFiles(cluster.origin, 200);
  });

  it(
    'in mid-download, and again after its restart: the same dfget goes on, and the source is read once',
    async () => {
      const { url, content, sent } = files.put('own-dies.bin');
      // After a restart the seed peer has everything: without a limit the rest would come at once.
      const download = cluster.begin(url, 'peer-1', '--ratelimit', '8MiB');
      let had = cluster.pieces('peer-1', url);
      for (let round = 1; round <= 2; round += 1) {
        await cluster.whenPieces('peer-1', url, had.numbers.length + 2);
        await cluster.kill('peer-1');
        had = cluster.pieces('peer-1', url);
        expect(existsSync(download.output)).toBe(false);
        await cluster.launch('peer-1');
      }
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(ended.stderr.match(new RegExp(WENT_ON, 'g'))).toHaveLength(2);
      const { local, source } = trafficOf(ended);
      expect({ local, source }).toEqual({ local: had.lengthBytes, source: 0 });
      // The killed daemon had fetched nothing from the source itself: the seed peer does, for the cluster.
      expect(sent()).toBeLessThanOrEqual(content.lengthBytes + IN_FLIGHT_BYTES);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'which nobody starts again: dfget starts one, which goes on in the same store',
    async () => {
      const { url, content, sent } = files.put('own-is-replaced.bin');
      const download = cluster.beginStarting(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 2);
      await cluster.kill('peer-1');
      const had = cluster.pieces('peer-1', url);
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(ended.stderr).toMatch(/it did not come back; .*\n.*a daemon answers again/);
      const { local, source } = trafficOf(ended);
      expect({ local, source }).toEqual({ local: had.lengthBytes, source: 0 });
      expect(sent()).toBeLessThanOrEqual(content.lengthBytes + IN_FLIGHT_BYTES);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'which nobody starts again, and dfget may not either: it fetches from the source by itself, or fails clearly',
    async () => {
      const { url, content, sent } = files.put('own-is-gone.bin');
      const forbidden = files.put('own-is-gone-for-good.bin');
      const download = cluster.begin(url, 'peer-1');
      const without = cluster.begin(forbidden.url, 'peer-1', '--disable-back-to-source');
      await Promise.all([url, forbidden.url].map((each) => cluster.whenPieces('peer-1', each, 2)));
      await cluster.kill('peer-1');
      expect(existsSync(download.output)).toBe(false);
      expectClearFailure(
        await without.ended,
        /waiting up to 10 s.*cannot download .*connection to the daemon was lost/s,
      );
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(ended.stderr).toMatch(/waiting up to 10 s.*fetching from the source instead/s);
      // The seed peer reads the content once, for the cluster; dfget alone has nobody but the source.
      expect(sent()).toBeLessThanOrEqual(2 * content.lengthBytes + IN_FLIGHT_BYTES);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'while it fetches from parents: after the restart they are asked for the rest only',
    async () => {
      const { url, content, sent } = files.put('own-dies-with-parents.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '8MiB', '--disable-back-to-source');
      await cluster.whenPieces('peer-2', url, 3);
      await cluster.kill('peer-2');
      const had = cluster.pieces('peer-2', url);
      await cluster.launch('peer-2');
      const ended = await download.ended;
      await expectRight(ended, content);
      const { local, seed, peers, source } = trafficOf(ended);
      expect({ local, parents: seed + peers, source }).toEqual({
        local: had.lengthBytes,
        parents: content.lengthBytes - had.lengthBytes,
        source: 0,
      });
      expect(sent()).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'with dfget, again and again: every restart goes on where the last one was',
    async () => {
      // Without a seed peer or parent: each piece can only have come from the origin, once.
      await Promise.all((['seed', 'peer-2'] as const).map((name) => cluster.kill(name)));
      const { url, content, requests } = files.put('own-dies-thrice.bin');
      let had = cluster.pieces('peer-1', url);
      let earlier = 0;
      for (let round = 1; round <= 3; round += 1) {
        const download = cluster.begin(url, 'peer-1', '--digest', digestOf(content));
        await cluster.whenPieces('peer-1', url, had.numbers.length + 2);
        download.kill();
        await cluster.kill('peer-1');
        await download.ended;
        expect(existsSync(download.output)).toBe(false);
        expectNoneAgain(requests().slice(earlier), had.numbers);
        earlier = requests().length;
        const now = cluster.pieces('peer-1', url);
        expect(now.numbers).toEqual(expect.arrayContaining([...had.numbers]));
        had = now;
        await cluster.restart('peer-1');
      }
      const last = await cluster.download(url, 'peer-1', '--digest', digestOf(content));
      await expectRight(last, content);
      expect(trafficOf(last)).toMatchObject({ local: had.lengthBytes, source: content.lengthBytes - had.lengthBytes });
      expectNoneAgain(requests().slice(earlier), had.numbers);
    },
    TEST_TIMEOUT_MS,
  );

  function digestOf(content: Content): string {
    return `sha256:${content.sha256()}`;
  }
});
