import { existsSync } from 'node:fs';
import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfUrl } from '@dragonfly/ids';
import { Content, waitFor } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import { runCommand } from './command.js';
import type { Daemon } from './daemon.js';
import { expectContent, expectFetchedOnce, trafficDuring } from './expectations.js';
import { describeWithRealPrograms, realProgram } from './real-programs.js';

const MIB = 1024 * 1024;
/** 17 pieces of 4 MiB and one short one. */
const LARGE_BYTES = 17 * 4 * MIB + 4321;
/** What the slow peers may fetch in a second: 68 MiB take about 17 s. */
const SLOW_BANDWIDTH = '4MiB';
/** Beyond the 10 s that a Rust daemon writes into the `grpc-timeout` of its streams. */
const LONG_MS = 15_000;
const SLOW_BYTES_PER_SECOND = 600 * 1024;

const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 90_000;

describeWithRealPrograms('our seed and our peer with real peers among them', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;
  let seed: Daemon;
  let peer: Daemon;
  let slowPeer: Daemon;
  let ourPeer: Daemon;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
    [seed, peer, slowPeer, ourPeer] = await Promise.all([
      cluster.addDaemon({ maker: 'ours', isSeed: true }),
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'real', isSeed: false, downloadBandwidth: SLOW_BANDWIDTH }),
      cluster.addDaemon({ maker: 'ours', isSeed: false }),
    ]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(running.map(async (one) => one.stop()));
  }, TEST_TIMEOUT_MS);

  it(
    'gives a real peer the pieces of our seed',
    async () => {
      const content = new Content(LARGE_BYTES, 21);
      const url = cluster.origin.put('/from-our-seed.bin', content);
      const traffic = await trafficDuring(peer, async () => {
        await expectContent(await cluster.realDfget(peer, url), content);
      });
      expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expectFetchedOnce(cluster.origin, '/from-our-seed.bin', content, 2);
      expect(await seed.traffic()).toEqual({ fromSource: content.lengthBytes, fromPeers: 0 });
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'keeps streams alive for more than 15 s: a slow source, and a slow child',
    async () => {
      const slowSource = new Content(LARGE_BYTES, 22);
      const slowChild = new Content(LARGE_BYTES, 23);
      const transfers = [
        {
          daemon: peer,
          content: slowSource,
          url: cluster.origin.put('/slow-source.bin', {
            content: slowSource,
            bytesPerSecond: SLOW_BYTES_PER_SECOND,
          }),
        },
        { daemon: slowPeer, content: slowChild, url: cluster.origin.put('/slow-child.bin', slowChild) },
      ];
      await Promise.all(
        transfers.map(async ({ daemon, content, url }) => {
          const traffic = await trafficDuring(daemon, async () => {
            const download = await cluster.realDfget(daemon, url);
            await expectContent(download, content);
            expect(download.durationMs).toBeGreaterThan(LONG_MS);
          });
          expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
        }),
      );
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'serves the real dfget over the socket of our daemon',
    async () => {
      const content = new Content(LARGE_BYTES, 24);
      const url = cluster.origin.put('/by-real-dfget.bin', content);
      const traffic = await trafficDuring(ourPeer, async () => {
        await expectContent(await cluster.realDfget(ourPeer, url), content);
        // Stored now: the second one fetches nothing.
        await expectContent(await cluster.realDfget(ourPeer, url), content);
        await expectContent(await cluster.realDfget(ourPeer, url, '--transfer-from-dfdaemon'), content);
      });
      expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expectFetchedOnce(cluster.origin, '/by-real-dfget.bin', content, 2);
    },
    TEST_TIMEOUT_MS,
  );

  it('answers a trigger for a stored task with no message, as a real daemon does, and announces the task', async () => {
    const content = new Content(9 * MIB, 29);
    const url = cluster.origin.put('/triggered.bin', content);
    const taskId = taskIdOfUrl({ url });
    for (const daemon of [peer, ourPeer]) {
      await cluster.realDfget(daemon, url, '--filtered-query-param', 'none');
      // Without a query all filters mean the same.
      expect((await daemon.localTasks()).map((task) => task.taskId)).toContain(taskId);
      const peersBefore = (await cluster.statTask(taskId)).peerCount;
      expect(await daemon.trigger(url)).toEqual([]);
      expect((await cluster.statTask(taskId)).peerCount).toBe(peersBefore + 1);
    }
  });

  it('tells the real dfget of wrong digests and missing files', async () => {
    const content = new Content(5 * MIB, 25);
    const url = cluster.origin.put('/checked.bin', content);
    const digest = `sha256:${content.sha256()}`;
    await expectContent(await cluster.realDfget(ourPeer, url, '--digest', digest), content);

    const wrong = await cluster.realDfget(ourPeer, url, '--digest', `sha256:${'0'.repeat(64)}`);
    expect(wrong).toMatchObject({ status: 1, stdout: expect.stringContaining('Downloading Failed!') as string });
    expect(existsSync(wrong.output)).toBe(false);

    const missing = await cluster.realDfget(ourPeer, cluster.origin.url('/nothing.bin'));
    expect(missing).toMatchObject({ status: 1, stdout: expect.stringMatching(/Bad Status Code.*404/s) as string });
    expect(existsSync(missing.output)).toBe(false);
  });

  it.each([
    ['an empty file', 0],
    ['one byte', 1],
    ['exactly one piece', 4 * MIB],
    ['one byte more than a piece', 4 * MIB + 1],
  ])('gives the real dfget %s', async (label, lengthBytes) => {
    const content = new Content(lengthBytes, 26);
    const url = cluster.origin.put(`/size-${lengthBytes}.bin`, content);
    await expectContent(await cluster.realDfget(ourPeer, url), content);
    await expectContent(await cluster.realDfget(peer, url, '--scheduling-policy', 'always'), content);
    expect(label).toBeDefined();
  });

  it('shows and removes tasks of our daemon by the real dfctl', async () => {
    const content = new Content(9 * MIB, 27);
    const url = cluster.origin.put('/by-dfctl.bin', content);
    await expectContent(await cluster.realDfget(ourPeer, url), content);
    const taskId = taskIdOfUrl({ url, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
    const dfctl = async (...args: string[]) =>
      runCommand(realProgram('dfctl'), ['task', ...args, '--endpoint', ourPeer.socket]);

    const listed = await dfctl('ls');
    expect(listed.stdout).toMatch(new RegExp(`^ ${taskId} +4.0 MiB +9.0 MiB +\\d{4}-\\d\\d-\\d\\d .*$`, 'm'));
    expect(await dfctl('rm', taskId)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Task Removed!') as string,
    });
    expect((await dfctl('ls')).stdout).not.toContain(taskId);
  });

  it(
    'has real peers, one of them slow, fetch from our peer once the seed is gone',
    async () => {
      const content = new Content(LARGE_BYTES, 28);
      const url = cluster.origin.put('/from-our-peer.bin', content);
      await expectContent(await cluster.ourDfget(ourPeer, url), content);
      expect(await seed.stop()).toBe(0);
      await waitFor(async () => (await cluster.hosts()).every((host) => host.id !== seed.hostId), {
        what: 'the seed to be forgotten',
      });
      await Promise.all(
        [peer, slowPeer].map(async (daemon) => {
          const traffic = await trafficDuring(daemon, async () => {
            const download = await cluster.realDfget(daemon, url);
            await expectContent(download, content);
            if (daemon === slowPeer) expect(download.durationMs).toBeGreaterThan(LONG_MS);
          });
          expect(traffic).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
        }),
      );
      expectFetchedOnce(cluster.origin, '/from-our-peer.bin', content, 4);
    },
    TEST_TIMEOUT_MS,
  );
});
