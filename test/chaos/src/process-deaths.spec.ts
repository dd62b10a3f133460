import { existsSync } from 'node:fs';
import { Content } from '@dragonfly/testkit';
import { ChaosCluster, type Download } from './chaos-cluster.js';
import type { DaemonName } from './cluster-config.js';
import { expectClearFailure, expectRight } from './expectations.js';

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 90_000;
/** Of each response; with two connections a download of 48 MiB takes three seconds. */
const SLOW = 8 * MIB;
/** What the origin may have handed to connections of a process before it noticed that the process was killed. */
const IN_FLIGHT_BYTES = 2 * MIB;

describe('kill -9', () => {
  let cluster: ChaosCluster;
  let seed = 100;

  beforeAll(async () => {
    cluster = await ChaosCluster.start({ peers: 2 });
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await cluster.destroy();
  });

  /** A file of twelve pieces that nobody has, from a slow origin. */
  function slowFile(name: string): { url: string; content: Content; sent: () => number } {
    const content = new Content(48 * MIB - 5, (seed += 1));
    const url = cluster.origin.put(`/${name}`, { content, bytesPerSecond: SLOW });
    return { url, content, sent: () => cluster.origin.bodyBytesSent(`/${name}`) };
  }

  /** Everything that is up knows everything else again. */
  async function allReady(): Promise<void> {
    for (const name of ['manager', 'scheduler', 'seed', 'peer-1', 'peer-2'] as const) await cluster.whenReady(name);
  }

  function trafficOf(download: Download): { source: number; seed: number; peers: number; local: number } {
    return download.report?.traffic ?? { source: -1, seed: -1, peers: -1, local: -1 };
  }

  it(
    'of the seed peer in mid-download: the peer takes what it lacks from the source, and nothing twice',
    async () => {
      const { url, content, sent } = slowFile('seed-dies.bin');
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 3);
      await cluster.kill('seed');
      const sentBefore = sent();
      const had = cluster.pieces('peer-1', url);
      expect(existsSync(download.output)).toBe(false);

      const ended = await download.ended;
      await expectRight(ended, content);
      expect(trafficOf(ended).source).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes);
      expect(sent() - sentBefore).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes + IN_FLIGHT_BYTES);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the seed peer again after its restart: it goes on with the pieces it has',
    async () => {
      await cluster.restart('seed');
      await allReady();
      const { url, content } = slowFile('seed-dies-twice.bin');
      const first = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('seed', url, 3);
      await cluster.kill('seed');
      // The one who waits goes away too: the seed peer's pieces are all there is.
      first.kill();
      await first.ended;
      const seedHad = cluster.pieces('seed', url);
      const earlier = requestCount(url);
      await cluster.restart('seed');
      await allReady();

      const second = cluster.begin(url, 'peer-2');
      await cluster.whenPieces('seed', url, seedHad.numbers.length + 2);
      await cluster.kill('seed');
      await expectRight(await second.ended, content);
      expectNoneAgain(url, seedHad.numbers, earlier);
      await cluster.restart('seed');
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  /** None of the pieces in `had` was asked of the origin by any request after the first `earlier` ones. */
  function expectNoneAgain(url: string, had: readonly number[], earlier: number): void {
    const later = cluster.origin.requestsOf(new URL(url).pathname).slice(earlier);
    const asked = later.flatMap(({ method, headers }) => {
      const range = /^bytes=(\d+)-(\d+)$/.exec(String(headers.range));
      if (method === 'HEAD') return [];
      // Without a range everything is asked for.
      if (range === null) return [...had];
      return had.filter((number) => Number(range[1]) < (number + 1) * PIECE && Number(range[2]) >= number * PIECE);
    });
    expect(asked).toEqual([]);
  }

  it(
    'of a parent in mid-download: others replace it, and the origin hears nothing of it',
    async () => {
      const { url, content, sent } = slowFile('parent-dies.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const sentBefore = sent();
      expect(sentBefore).toBe(content.lengthBytes);
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '16MiB');
      await cluster.whenPieces('peer-2', url, 2);
      await cluster.kill('peer-1');
      await expectRight(await download.ended, content);
      expect(sent()).toBe(sentBefore);
      await cluster.restart('peer-1');
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of every parent in mid-download: only what is missing comes from the source',
    async () => {
      const { url, content, sent } = slowFile('parents-die.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const sentBefore = sent();
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '16MiB');
      await cluster.whenPieces('peer-2', url, 2);
      await Promise.all([cluster.kill('peer-1'), cluster.kill('seed')]);
      const had = cluster.pieces('peer-2', url);
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(sent() - sentBefore).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes);
      await cluster.startAll(['peer-1', 'seed']);
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of a parent that the scheduler still offers: another one serves',
    async () => {
      const { url, content, sent } = slowFile('parent-is-dead.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      await cluster.kill('peer-1');
      const ended = await cluster.download(url, 'peer-2');
      await expectRight(ended, content);
      expect(trafficOf(ended).source).toBe(0);
      expect(sent()).toBe(content.lengthBytes);
      await cluster.restart('peer-1');
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the scheduler in mid-download: known parents go on, and nobody reads twice',
    async () => {
      const { url, content, sent } = slowFile('scheduler-dies.bin');
      const downloads = [cluster.begin(url, 'peer-1'), cluster.begin(url, 'peer-2')];
      await cluster.whenPieces('peer-1', url, 3);
      await cluster.kill('scheduler');
      const sentBefore = sent();
      const lacks = (['peer-1', 'peer-2'] as const).map(
        (name) => content.lengthBytes - cluster.pieces(name, url).lengthBytes,
      );
      const ended = await Promise.all(downloads.map(({ ended: end }) => end));
      for (const [index, download] of ended.entries()) {
        await expectRight(download, content);
        expect(trafficOf(download).source).toBeLessThanOrEqual(lacks[index] ?? 0);
      }
      console.log(
        `scheduler killed: origin sent ${(sent() / content.lengthBytes).toFixed(2)} of the size, ` +
          `${((sent() - sentBefore) / MIB).toFixed(0)} MiB of it after the kill; from the source: ${ended
            .map((download) => (trafficOf(download).source / MIB).toFixed(0))
            .join(', ')} MiB`,
      );
      expect(sent() - sentBefore).toBeLessThanOrEqual(lacks.reduce((sum, bytes) => sum + bytes, 0) + IN_FLIGHT_BYTES);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the scheduler: while it is dead downloads come from the source, after its restart from peers at once',
    async () => {
      const alone = slowFile('no-scheduler.bin');
      const ended = await cluster.download(alone.url, 'peer-1');
      await expectRight(ended, alone.content);
      expect(alone.sent()).toBe(alone.content.lengthBytes);

      for (const name of ['once', 'again']) {
        await cluster.restart('scheduler');
        await allReady();
        const { url, content, sent } = slowFile(`scheduler-back-${name}.bin`);
        for (const peer of ['peer-1', 'peer-2'] as const) {
          const download = await cluster.download(url, peer);
          await expectRight(download, content);
          expect({ peer, source: trafficOf(download).source }).toEqual({ peer, source: 0 });
        }
        expect(sent()).toBe(content.lengthBytes);
        if (name === 'once') {
          const again = slowFile('scheduler-dies-again.bin');
          const download = cluster.begin(again.url, 'peer-1');
          await cluster.whenPieces('peer-1', again.url, 2);
          await cluster.kill('scheduler');
          await expectRight(await download.ended, again.content);
        }
      }
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the manager: downloads under way and new ones do not notice',
    async () => {
      const running = slowFile('manager-dies.bin');
      const download = cluster.begin(running.url, 'peer-1');
      await cluster.whenPieces('peer-1', running.url, 2);
      await cluster.kill('manager');
      await expectRight(await download.ended, running.content);
      expect(running.sent()).toBe(running.content.lengthBytes);

      const later = slowFile('no-manager.bin');
      const ended = await cluster.download(later.url, 'peer-2');
      await expectRight(ended, later.content);
      expect(trafficOf(ended).source).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of everything while the manager is dead: what is started again works with the settings it remembers',
    async () => {
      await Promise.all((['scheduler', 'seed', 'peer-1', 'peer-2'] as const).map((name) => cluster.kill(name)));
      await cluster.launch('scheduler');
      await Promise.all((['seed', 'peer-1', 'peer-2'] as const).map((name) => cluster.launch(name)));
      await Promise.all((['peer-1', 'peer-2'] as const).map((name) => cluster.whenReady(name)));
      const { url, content, sent } = slowFile('cold-start.bin');
      for (const peer of ['peer-1', 'peer-2'] as const) await expectRight(await cluster.download(url, peer), content);
      expect(sent()).toBe(content.lengthBytes);

      await cluster.restart('manager');
      await allReady();
      const again = slowFile('manager-dies-again.bin');
      const download = cluster.begin(again.url, 'peer-1');
      await cluster.whenPieces('peer-1', again.url, 2);
      await cluster.kill('manager');
      await expectRight(await download.ended, again.content);
      expect(again.sent()).toBe(again.content.lengthBytes);
      await cluster.restart('manager');
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the daemon in mid-download: dfget fetches from the source by itself',
    async () => {
      const { url, content, sent } = slowFile('own-dies.bin');
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 2);
      await cluster.kill('peer-1');
      expect(existsSync(download.output)).toBe(false);
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(ended.stderr).toMatch(/daemon failed/);
      // The seed peer reads the content once, for the cluster; dfget alone has nobody but the source.
      expect(sent()).toBeLessThanOrEqual(2 * content.lengthBytes);
      await cluster.restart('peer-1');
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the daemon while it fetches from parents: after the restart they are asked for the rest only',
    async () => {
      const { url, content, sent } = slowFile('own-dies-with-parents.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '16MiB', '--disable-back-to-source');
      await cluster.whenPieces('peer-2', url, 3);
      await cluster.kill('peer-2');
      expectClearFailure(await download.ended, /daemon|connection|closed/i);
      const had = cluster.pieces('peer-2', url);
      await cluster.restart('peer-2');
      await allReady();
      const again = await cluster.download(url, 'peer-2');
      await expectRight(again, content);
      const { local, seed: fromSeed, peers, source } = trafficOf(again);
      expect({ local, parents: fromSeed + peers, source }).toEqual({
        local: had.lengthBytes,
        parents: content.lengthBytes - had.lengthBytes,
        source: 0,
      });
      expect(sent()).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the daemon again and again: every restart goes on where the last one was',
    async () => {
      // Without a seed peer or parent: each piece can only have come from the origin, once.
      await Promise.all((['seed', 'peer-2'] as const).map((name) => cluster.kill(name)));
      const name: DaemonName = 'peer-1';
      const { url, content } = slowFile('own-dies-thrice.bin');
      let had = cluster.pieces(name, url);
      let earlier = 0;
      for (let round = 1; round <= 3; round += 1) {
        const download = cluster.begin(url, name, '--digest', digestOf(content));
        await cluster.whenPieces(name, url, had.numbers.length + 2);
        download.kill();
        await cluster.kill(name);
        await download.ended;
        expect(existsSync(download.output)).toBe(false);
        expectNoneAgain(url, had.numbers, earlier);
        earlier = requestCount(url);
        const now = cluster.pieces(name, url);
        expect(now.numbers).toEqual(expect.arrayContaining([...had.numbers]));
        had = now;
        await cluster.restart(name);
      }
      const last = await cluster.download(url, name, '--digest', digestOf(content));
      await expectRight(last, content);
      expect(trafficOf(last)).toMatchObject({ local: had.lengthBytes, source: content.lengthBytes - had.lengthBytes });
      expectNoneAgain(url, had.numbers, earlier);
      await cluster.startAll(['seed', 'peer-2']);
      await allReady();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the daemon when dfget may not go to the source: a clear error and no file',
    async () => {
      const { url } = slowFile('own-dies-alone.bin');
      const download = cluster.begin(url, 'peer-1', '--disable-back-to-source');
      await cluster.whenPieces('peer-1', url, 2);
      await cluster.kill('peer-1');
      expectClearFailure(await download.ended, /daemon|connection|closed/i);
      await cluster.restart('peer-1');
    },
    TEST_TIMEOUT_MS,
  );

  function requestCount(url: string): number {
    return cluster.origin.requestsOf(new URL(url).pathname).length;
  }

  function digestOf(content: Content): string {
    return `sha256:${content.sha256()}`;
  }
});
