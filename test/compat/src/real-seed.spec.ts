import { existsSync } from 'node:fs';
import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2 } from '@dragonfly/proto';
import { Content, waitFor } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import type { Daemon } from './daemon.js';
import { expectContent, expectFetchedOnce, trafficDuring } from './expectations.js';
import { describeWithRealPrograms } from './real-programs.js';

/** `Host.type` of a seed; the definitions make it a plain number. */
const SEED_HOST_TYPE = 1;
const MIB = 1024 * 1024;
/** 17 pieces of 4 MiB and one short one. */
const LARGE_BYTES = 17 * 4 * MIB + 4321;
/** 18 pieces, 8 at a time, each 7 s: a transfer of about 21 s. */
const SLOW_BYTES_PER_SECOND = 600 * 1024;
/** Beyond the 10 s that a Rust daemon writes into the `grpc-timeout` of its streams. */
const LONG_MS = 15_000;

const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 90_000;

describeWithRealPrograms('a real seed and real peers under our manager and scheduler, and our peer among them', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;
  let seed: Daemon;
  let peer: Daemon;
  let secondPeer: Daemon;
  let ourPeer: Daemon;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
    [seed, peer, secondPeer, ourPeer] = await Promise.all([
      cluster.addDaemon({ maker: 'real', isSeed: true }),
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'ours', isSeed: false }),
    ]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(running.map(async (one) => one.stop()));
  }, TEST_TIMEOUT_MS);

  const triggersOf = (taskId: string): unknown[] =>
    cluster
      .logged('seed peer is triggered')
      .filter((line) => line['taskId'] === taskId)
      .map((line) => line['seed']);

  it('knows the hosts as they announce themselves', async () => {
    const hosts = await cluster.hosts();
    expect(hosts.map((host) => host.id).sort()).toEqual(cluster.daemons.map((daemon) => daemon.hostId).sort());
    const announced = hosts.find((host) => host.id === seed.hostId);
    expect(announced).toMatchObject({
      type: SEED_HOST_TYPE,
      hostname: seed.name,
      ip: seed.ip,
      port: 4000,
      downloadPort: 4000,
      proxyPort: 4001,
      os: 'linux',
      build: { gitVersion: '1.5.10' },
      disableShared: false,
    });
    expect(announced?.memory?.total).toBeGreaterThan(0n);
    expect(announced?.network?.maxTxBandwidth).toBeGreaterThan(0n);
  });

  it(
    'triggers the real seed, which alone goes to the source; the real peer fetches from it',
    async () => {
      const content = new Content(LARGE_BYTES, 1);
      const url = cluster.origin.put('/first.bin', content);
      const traffic = await trafficDuring(peer, async () => {
        await expectContent(await cluster.realDfget(peer, url), content);
      });
      expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expectFetchedOnce(cluster.origin, '/first.bin', content, 2);

      const taskId = taskIdOfUrl({ url, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
      expect(triggersOf(taskId)).toEqual([seed.hostId]);
      expect(await cluster.statTask(taskId)).toMatchObject({
        url,
        contentLength: BigInt(content.lengthBytes),
        pieceCount: 18,
        state: 'Succeeded',
        peerCount: 2,
        sizeScope: commonV2.SizeScope.NORMAL,
      });
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'serves a second real peer, and ours, without the source',
    async () => {
      const content = new Content(LARGE_BYTES, 1);
      const url = cluster.origin.url('/first.bin');
      for (const daemon of [secondPeer, ourPeer]) {
        const traffic = await trafficDuring(daemon, async () => {
          const dfget = daemon === ourPeer ? cluster.ourDfget(daemon, url) : cluster.realDfget(daemon, url);
          await expectContent(await dfget, content);
        });
        expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      }
      expectFetchedOnce(cluster.origin, '/first.bin', content, 4);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'triggers the real seed for our peer',
    async () => {
      const content = new Content(LARGE_BYTES, 2);
      const url = cluster.origin.put('/ours-first.bin', content);
      const traffic = await trafficDuring(ourPeer, async () => {
        await expectContent(await cluster.ourDfget(ourPeer, url), content);
      });
      expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expectFetchedOnce(cluster.origin, '/ours-first.bin', content, 2);
      const taskId = taskIdOfUrl({ url, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
      expect(triggersOf(taskId)).toEqual([seed.hostId]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'keeps AnnouncePeer, SyncPieces and the trigger alive for more than 15 s',
    async () => {
      const transfers = [
        { daemon: peer, path: '/slow-for-real.bin', content: new Content(LARGE_BYTES, 3) },
        { daemon: ourPeer, path: '/slow-for-ours.bin', content: new Content(LARGE_BYTES, 4) },
      ];
      await Promise.all(
        transfers.map(async ({ daemon, path, content }) => {
          const url = cluster.origin.put(path, { content, bytesPerSecond: SLOW_BYTES_PER_SECOND });
          const traffic = await trafficDuring(daemon, async () => {
            const dfget = daemon === ourPeer ? cluster.ourDfget(daemon, url) : cluster.realDfget(daemon, url);
            const download = await dfget;
            await expectContent(download, content);
            expect(download.durationMs).toBeGreaterThan(LONG_MS);
          });
          expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
          expectFetchedOnce(cluster.origin, path, content, 2);
        }),
      );
    },
    TEST_TIMEOUT_MS,
  );

  it('gets a file of less than 4 MiB, by default and through the scheduler', async () => {
    const content = new Content(123_456, 5);
    const url = cluster.origin.put('/small.bin', content);
    await expectContent(await cluster.realDfget(peer, url), content);

    const announced = new Content(123_456, 6);
    const announcedUrl = cluster.origin.put('/small-announced.bin', announced);
    await expectContent(await cluster.realDfget(peer, announcedUrl, '--scheduling-policy', 'always'), announced);
    expectFetchedOnce(cluster.origin, '/small-announced.bin', announced, 2);
  });

  it.each([
    ['by default', []],
    ['through the scheduler', ['--scheduling-policy', 'always']],
  ])('gets an empty file %s', async (label, flags) => {
    const url = cluster.origin.put(`/empty-${flags.length}.bin`, Buffer.alloc(0));
    const download = await cluster.realDfget(peer, url, ...flags);
    await expectContent(download, new Content(0));
    expect(label).toBeDefined();
  });

  it('passes the answer of the origin on when the file is not there', async () => {
    const download = await cluster.realDfget(peer, cluster.origin.url('/nothing.bin'));
    expect(download).toMatchObject({ status: 1, stdout: expect.stringMatching(/Bad Status Code.*404/s) as string });
    expect(existsSync(download.output)).toBe(false);
  });

  it(
    'passes the answer of the origin on when it refuses after the first look',
    async () => {
      const content = new Content(LARGE_BYTES, 7);
      // The look is answered well; whatever comes after it meets the refusal.
      const url = cluster.origin.put('/refused.bin', { content, headDelayMs: 300 });
      const downloading = cluster.realDfget(peer, url);
      await waitFor(() => cluster.origin.requestsOf('/refused.bin').length > 0, { what: 'the first look' });
      cluster.origin.put('/refused.bin', { content, status: 403 });
      const download = await downloading;
      expect(download).toMatchObject({ status: 1, stdout: expect.stringMatching(/Bad Status Code.*403/s) as string });
      expect(existsSync(download.output)).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );

  it('lists over the socket of a real daemon what our dfget has made it download', async () => {
    const content = new Content(LARGE_BYTES, 8);
    const url = cluster.origin.put('/by-our-dfget.bin', content);
    await expectContent(await cluster.ourDfget(peer, url), content);
    const taskId = taskIdOfUrl({ url, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
    expect((await peer.localTasks()).map((task) => task.taskId)).toContain(taskId);
  });

  it(
    'has our peer fetch from a real peer once the seed is gone, and forgets hosts that leave',
    async () => {
      const content = new Content(LARGE_BYTES, 9);
      const url = cluster.origin.put('/from-a-peer.bin', content);
      await expectContent(await cluster.realDfget(peer, url), content);
      expect(await seed.stop()).toBe(0);
      await waitFor(async () => (await cluster.hosts()).every((host) => host.id !== seed.hostId), {
        what: 'the seed to be forgotten',
      });

      const traffic = await trafficDuring(ourPeer, async () => {
        await expectContent(await cluster.ourDfget(ourPeer, url), content);
      });
      expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expectFetchedOnce(cluster.origin, '/from-a-peer.bin', content, 3);
    },
    TEST_TIMEOUT_MS,
  );
});
