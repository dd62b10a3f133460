import { writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { persistentCacheTaskIdOfFile } from '@dragonfly/ids';
import { type commonV2, schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { Content, RedisServer, waitFor } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import { runCommand } from './command.js';
import type { Daemon } from './daemon.js';
import { expectContent, expectFetchedOnce, trafficDuring } from './expectations.js';
import { describeWithRealPrograms, realProgram } from './real-programs.js';

const MIB = 1024 * 1024;
/** 17 pieces of 4 MiB, the last one short. */
const CONTENT_BYTES = 16 * 4 * MIB + 4321;
const START_TIMEOUT_MS = 180_000;
const TEST_TIMEOUT_MS = 90_000;

interface Job {
  readonly id: number;
  readonly state: string;
  readonly result: { readonly job_states: readonly { readonly results: { readonly peers: unknown[] }[] }[] } | null;
}

/** Real daemons take the certificates of our manager's authority by keys of their own, `caCert`, `cert` and `key`. */
describeWithRealPrograms('real daemons in a cluster of ours with mTLS', () => {
  let cluster: CompatCluster;
  let redis: RedisServer | undefined;
  let seed: Daemon;
  let real: Daemon;
  let ours: Daemon;
  let other: Daemon;
  let scheduler: schedulerV2.SchedulerClient;

  beforeAll(async () => {
    redis = await RedisServer.startIfPresent();
    cluster = await CompatCluster.start({ isSecured: true, ...(redis ? { redis: redis.address } : {}) });
    const { host, port } = cluster.schedulerEndpoint;
    scheduler = createGrpcClient(schedulerV2.SchedulerClient, `${host}:${port}`, { tls: cluster.tls });
    seed = await cluster.addDaemon({ maker: 'ours', isSeed: true });
    [real, ours, other] = await Promise.all([
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'ours', isSeed: false }),
      cluster.addDaemon({ maker: 'real', isSeed: false }),
    ]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    scheduler.close();
    await cluster.stop();
    await redis?.stop();
  }, TEST_TIMEOUT_MS);

  it(
    'download through our seed and from each other, the source is read once',
    async () => {
      const content = new Content(CONTENT_BYTES, 31);
      const url = cluster.origin.put('/secured.bin', content);
      for (const [daemon, download] of [
        [real, () => cluster.realDfget(real, url)],
        [ours, () => cluster.ourDfget(ours, url)],
        [other, () => cluster.realDfget(other, url)],
      ] as const) {
        const traffic = await trafficDuring(daemon, async () => expectContent(await download(), content));
        expect([daemon.name, traffic.fromSource]).toEqual([daemon.name, 0]);
      }
      expectFetchedOnce(cluster.origin, '/secured.bin', content, 4);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'are parents of ours when nobody else has the content',
    async () => {
      const content = new Content(CONTENT_BYTES, 32);
      const url = cluster.origin.put('/parent.bin', content);
      await expectContent(await cluster.realDfget(real, url), content);
      const hosts = await cluster.hosts();
      // The seed forgets it: what is left is the real daemon's.
      const delivered = await runJob({ type: 'get_task', args: { url } });
      expect(delivered.result?.job_states[0]?.results[0]?.peers).toHaveLength(2);
      expect(hosts.map(({ id }) => id)).toContain(real.hostId);
      await seed.stop();
      const traffic = await trafficDuring(ours, async () =>
        expectContent(await cluster.ourDfget(ours, url, '--disable-back-to-source'), content),
      );
      expect(traffic).toEqual({ fromSource: 0, fromPeers: CONTENT_BYTES });
    },
    TEST_TIMEOUT_MS,
  );

  async function runJob(body: object): Promise<Job> {
    const { id } = await cluster.rest<Job>('POST', 'jobs', body);
    const job = await waitFor(
      async () => {
        const seen = await cluster.rest<Job>('GET', `jobs/${id}`);
        return seen.state !== 'PENDING' && seen;
      },
      { what: `the end of job ${id}`, timeoutMs: 60_000, intervalMs: 300 },
    );
    expect(job).toMatchObject({ state: 'SUCCESS' });
    return job;
  }

  it(
    'are reached by jobs of the manager: preheat of all, who holds it, delete',
    async () => {
      const content = new Content(5 * MIB, 33);
      const url = cluster.origin.put('/preheat.bin', content);
      await runJob({ type: 'preheat', args: { type: 'file', url, scope: 'all_peers' } });
      const holders = async (): Promise<number | undefined> =>
        (await runJob({ type: 'get_task', args: { url } })).result?.job_states[0]?.results[0]?.peers.length;
      expect(await holders()).toBe(3);
      await runJob({ type: 'delete_task', args: { url } });
      expect(await holders()).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'get replicas of persistent cache tasks, and the manager deletes them everywhere',
    async () => {
      const content = new Content(9 * MIB + 1, 34);
      const file = cluster.newOutput();
      writeFileSync(file, content.slice());
      const dfcache = (on: Daemon, ...args: string[]) =>
        runCommand(realProgram('dfcache'), [...args, '--endpoint', on.socket]);
      const imported = await dfcache(real, 'import', file, '--persistent-replica-count', '2', '--ttl', '10m');
      expect(imported).toMatchObject({ status: 0 });
      const taskId = await persistentCacheTaskIdOfFile(Readable.from([content.slice()]));
      const stat = (): Promise<commonV2.PersistentCacheTask> =>
        unary<schedulerV2.StatPersistentCacheTaskRequest, commonV2.PersistentCacheTask>(
          scheduler.statPersistentCacheTask.bind(scheduler),
          { hostId: 'compat-test', taskId },
          { deadlineMs: 10_000 },
        );
      await waitFor(async () => (await stat()).currentPersistentReplicaCount === 2n, {
        what: 'the second replica',
        timeoutMs: 60_000,
        intervalMs: 300,
      });
      if (redis === undefined) {
        process.stderr.write(`skip: deleting by the manager (${RedisServer.missingReason ?? 'no Redis'})\n`);
        return;
      }
      await cluster.rest('DELETE', `persistent-cache-tasks/${taskId}?scheduler_cluster_id=1`);
      for (const on of [real, other]) {
        expect((await dfcache(on, 'export', taskId, '--output', cluster.newOutput())).status).not.toBe(0);
      }
    },
    TEST_TIMEOUT_MS,
  );
});
