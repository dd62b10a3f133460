import { existsSync } from 'node:fs';
import type { ChaosCluster } from './chaos-cluster.js';
import { expectNoneAgain, expectRight, trafficOf } from './expectations.js';
import { restoredCluster } from './restored-cluster.js';
import { SlowFiles } from './slow-files.js';

const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 240_000;
/** What the origin may have handed to connections of a process before it noticed that the process was killed. */
const IN_FLIGHT_BYTES = 2 * MIB;

describe('kill -9', () => {
  let cluster: ChaosCluster;
  let files: SlowFiles;

  restoredCluster({ peers: 2 }, (started) => {
    cluster = started;
    files = new SlowFiles(cluster.origin, 100);
  });

  it(
    'of the seed peer in mid-download: the peer takes what it lacks from the source, and nothing twice',
    async () => {
      const { url, content, sent } = files.put('seed-dies.bin');
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
      const { url, content, requests } = files.put('seed-dies-twice.bin');
      const first = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('seed', url, 3);
      await cluster.kill('seed');
      // The one who waits goes away too: the seed peer's pieces are all there is.
      first.kill();
      await first.ended;
      const seedHad = cluster.pieces('seed', url);
      const earlier = requests().length;
      await cluster.restart('seed');
      await cluster.allReady();

      const second = cluster.begin(url, 'peer-2');
      // It serves what it has, and goes on.
      await cluster.whenHas('peer-2', url, seedHad.numbers);
      await cluster.whenPieces('seed', url, seedHad.numbers.length + 2);
      await cluster.kill('seed');
      await expectRight(await second.ended, content);
      expectNoneAgain(requests().slice(earlier), seedHad.numbers);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of a parent in mid-download, and again after its restart: others replace it, and the origin hears nothing of it',
    async () => {
      const { url, content, sent } = files.put('parent-dies.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const sentBefore = sent();
      expect(sentBefore).toBe(content.lengthBytes);
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '8MiB');
      await cluster.whenPieces('peer-2', url, 2);
      await cluster.kill('peer-1');
      const had = cluster.pieces('peer-2', url).numbers.length;
      // However long the restart takes, the download is not over then.
      cluster.pause('peer-2');
      await cluster.restart('peer-1');
      cluster.resume('peer-2');
      await cluster.whenPieces('peer-2', url, had + 1);
      await cluster.kill('peer-1');
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(trafficOf(ended).source).toBe(0);
      expect(sent()).toBe(sentBefore);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of every parent in mid-download: only what is missing comes from the source',
    async () => {
      const { url, content, sent } = files.put('parents-die.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      const sentBefore = sent();
      const download = cluster.begin(url, 'peer-2', '--ratelimit', '8MiB');
      await cluster.whenPieces('peer-2', url, 2);
      await Promise.all([cluster.kill('peer-1'), cluster.kill('seed')]);
      const had = cluster.pieces('peer-2', url);
      const ended = await download.ended;
      await expectRight(ended, content);
      expect(sent() - sentBefore).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of a parent that the scheduler still offers: another one serves',
    async () => {
      const { url, content, sent } = files.put('parent-is-dead.bin');
      await expectRight(await cluster.download(url, 'peer-1'), content);
      await cluster.kill('peer-1');
      const ended = await cluster.download(url, 'peer-2');
      await expectRight(ended, content);
      expect(trafficOf(ended).source).toBe(0);
      expect(sent()).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of the scheduler in mid-download: known parents go on, and nobody reads twice',
    async () => {
      const { url, content, sent } = files.put('scheduler-dies.bin');
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
      await cluster.kill('scheduler');
      const alone = files.put('no-scheduler.bin');
      const ended = await cluster.download(alone.url, 'peer-1');
      await expectRight(ended, alone.content);
      expect(alone.sent()).toBe(alone.content.lengthBytes);

      for (const name of ['once', 'again']) {
        await cluster.restart('scheduler');
        await cluster.allReady();
        const { url, content, sent } = files.put(`scheduler-back-${name}.bin`);
        for (const peer of ['peer-1', 'peer-2'] as const) {
          const download = await cluster.download(url, peer);
          await expectRight(download, content);
          expect({ peer, source: trafficOf(download).source }).toEqual({ peer, source: 0 });
        }
        expect(sent()).toBe(content.lengthBytes);
        if (name === 'once') {
          const again = files.put('scheduler-dies-again.bin');
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
      const running = files.put('manager-dies.bin');
      const download = cluster.begin(running.url, 'peer-1');
      await cluster.whenPieces('peer-1', running.url, 2);
      await cluster.kill('manager');
      await expectRight(await download.ended, running.content);
      expect(running.sent()).toBe(running.content.lengthBytes);

      const later = files.put('no-manager.bin');
      const ended = await cluster.download(later.url, 'peer-2');
      await expectRight(ended, later.content);
      expect(trafficOf(ended).source).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'of everything while the manager is dead: what is started again works with the settings it remembers',
    async () => {
      await Promise.all(
        (['manager', 'scheduler', 'seed', 'peer-1', 'peer-2'] as const).map((name) => cluster.kill(name)),
      );
      await cluster.launch('scheduler');
      await Promise.all((['seed', 'peer-1', 'peer-2'] as const).map((name) => cluster.launch(name)));
      await Promise.all((['peer-1', 'peer-2'] as const).map((name) => cluster.whenReady(name)));
      const { url, content, sent } = files.put('cold-start.bin');
      for (const peer of ['peer-1', 'peer-2'] as const) await expectRight(await cluster.download(url, peer), content);
      expect(sent()).toBe(content.lengthBytes);

      await cluster.restart('manager');
      await cluster.allReady();
      const again = files.put('manager-dies-again.bin');
      const download = cluster.begin(again.url, 'peer-1');
      await cluster.whenPieces('peer-1', again.url, 2);
      await cluster.kill('manager');
      await expectRight(await download.ended, again.content);
      expect(again.sent()).toBe(again.content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );
});
