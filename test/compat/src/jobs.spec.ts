import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2, type DeepPartial, extJobs, extRecords, schedulerV2 } from '@dragonfly/proto';
import { digestOf, FakeRegistry } from '@dragonfly/registry/testing';
import { createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { Content, waitFor } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import type { Daemon } from './daemon.js';
import { expectFetchedOnce } from './expectations.js';
import { describeWithRealPrograms } from './real-programs.js';

const MIB = 1024 * 1024;
const CONTENT_BYTES = 5 * 4 * MIB + 77;
const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 60_000;
const CALL = { deadlineMs: 30_000 };

describeWithRealPrograms('jobs over a real seed, a real peer and our peer', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;
  let daemons: readonly Daemon[];
  let jobs: extJobs.JobServiceClient;
  let scheduler: schedulerV2.SchedulerClient;
  let records: extRecords.RecordServiceClient;
  let serial = 0;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
    const { host, port } = cluster.schedulerEndpoint;
    jobs = createGrpcClient(extJobs.JobServiceClient, `${host}:${port}`);
    scheduler = createGrpcClient(schedulerV2.SchedulerClient, `${host}:${port}`);
    records = createGrpcClient(extRecords.RecordServiceClient, `${host}:${port}`);
    daemons = await Promise.all([
      cluster.addDaemon({ maker: 'real', isSeed: true }),
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'ours', isSeed: false }),
    ]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    for (const client of [jobs, scheduler, records]) client.close();
    await Promise.all(running.map(async (one) => one.stop()));
  }, TEST_TIMEOUT_MS);

  interface Told {
    readonly finished: extJobs.JobFinished;
    readonly outcomes: readonly extJobs.TaskOutcome[];
    readonly hosts: readonly extJobs.JobHost[];
  }

  async function run(job: DeepPartial<NonNullable<extJobs.RunJobRequest['job']>>): Promise<Told> {
    const request = extJobs.RunJobRequest.fromPartial({
      jobId: `job-${serial++}`,
      timeout: { seconds: 50n, nanos: 0 },
      job: job as NonNullable<extJobs.RunJobRequest['job']>,
    });
    const outcomes: extJobs.TaskOutcome[] = [];
    const hosts: extJobs.JobHost[] = [];
    for await (const { event } of readStream(jobs.runJob(request))) {
      if (event?.$case === 'taskOutcome') outcomes.push(event.value);
      if (event?.$case === 'hosts') hosts.push(...event.value.hosts);
      if (event?.$case === 'finished') return { finished: event.value, outcomes, hosts };
    }
    throw new Error('the stream of a job ends with its end');
  }

  const preheat = (url: string, scope: extJobs.JobScope): Promise<Told> =>
    run({
      $case: 'preheat',
      value: {
        downloads: [commonV2.Download.fromPartial({ url, filteredQueryParams: [...DEFAULT_FILTERED_QUERY_PARAMS] })],
        scope,
      },
    });
  const idOf = (url: string): string => taskIdOfUrl({ url, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
  const hostIds = (): string[] => daemons.map((daemon) => daemon.hostId).sort();

  it(
    'preheat of all peers: each of them has the content, the origin gave it once; it is found and deleted everywhere',
    async () => {
      const content = new Content(CONTENT_BYTES, 21);
      const url = cluster.origin.put('/preheat-all.bin', content);
      const { finished, outcomes } = await preheat(url, extJobs.JobScope.JOB_SCOPE_ALL_PEERS);
      expect(finished).toMatchObject({
        state: extJobs.JobState.JOB_STATE_SUCCEEDED,
        progress: {
          total: 3,
          succeeded: 3,
          completedBytes: 3n * BigInt(CONTENT_BYTES),
          totalBytes: 3n * BigInt(CONTENT_BYTES),
        },
      });
      expect(outcomes.map(({ hostId }) => hostId).sort()).toEqual(hostIds());
      expect(new Set(outcomes.map(({ taskId }) => taskId))).toEqual(new Set([idOf(url)]));
      expectFetchedOnce(cluster.origin, '/preheat-all.bin', content, 3);

      const held = await run({ $case: 'getTask', value: { taskId: idOf(url) } });
      expect(held.hosts.map(({ host, isFinished }) => [host?.id, isFinished]).sort()).toEqual(
        hostIds().map((id) => [id, true]),
      );
      const stat = await unary(
        scheduler.statFile.bind(scheduler),
        schedulerV2.StatFileRequest.fromPartial({ url }),
        CALL,
      );
      expect(stat.peers.map(({ hostname }) => hostname).sort()).toEqual(daemons.map(({ name }) => name).sort());

      const deleted = await run({ $case: 'deleteTask', value: { taskId: idOf(url) } });
      expect(deleted.finished).toMatchObject({
        state: extJobs.JobState.JOB_STATE_SUCCEEDED,
        progress: { succeeded: 3 },
      });
      const after = await run({ $case: 'getTask', value: { taskId: idOf(url) } });
      expect(after.hosts).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'preheat by the single seed counts what the seed says of its progress',
    async () => {
      const content = new Content(CONTENT_BYTES, 22);
      const url = cluster.origin.put('/preheat-seed.bin', content);
      const { finished, outcomes } = await preheat(url, extJobs.JobScope.JOB_SCOPE_SINGLE_SEED_PEER);
      expect(finished).toMatchObject({
        state: extJobs.JobState.JOB_STATE_SUCCEEDED,
        progress: { total: 1, completedBytes: BigInt(CONTENT_BYTES) },
      });
      expect(outcomes).toMatchObject([
        { hostId: daemons[0]?.hostId, hostType: 1, contentLength: BigInt(CONTENT_BYTES) },
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'preheat of a file that the origin does not have fails with what the origin said',
    async () => {
      const { finished, outcomes } = await preheat(
        cluster.origin.url('/nothing.bin'),
        extJobs.JobScope.JOB_SCOPE_SINGLE_SEED_PEER,
      );
      expect(finished.state).toBe(extJobs.JobState.JOB_STATE_FAILED);
      expect(outcomes[0]?.description).toMatch(/404/);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'PreheatImage: layers of a registry with a token server reach the real seed',
    async () => {
      const registry = await FakeRegistry.start({ auth: 'bearer', username: 'ann', password: 'pw' });
      try {
        const layer = Buffer.alloc(6 * MIB, 7);
        registry.putImage('library/alpine', [layer], { tag: '3' });
        const image = { url: registry.manifestUrl('library/alpine', '3'), username: 'ann', password: 'pw' };
        await unary(
          scheduler.preheatImage.bind(scheduler),
          schedulerV2.PreheatImageRequest.fromPartial({ ...image, scope: 'single_seed_peer' }),
          CALL,
        );
        const blob = `${registry.origin}/v2/library/alpine/blobs/${digestOf(layer)}`;
        await waitFor(
          async () => {
            const { peers } = await unary(
              scheduler.statImage.bind(scheduler),
              schedulerV2.StatImageRequest.fromPartial(image),
              CALL,
            );
            const layers = peers.find(({ hostname }) => hostname === daemons[0]?.name)?.cachedLayers ?? [];
            return layers.some(({ url, isFinished }) => url === blob && isFinished === true);
          },
          { what: 'the layer on the seed', timeoutMs: 30_000 },
        );
      } finally {
        await registry.close();
      }
    },
    TEST_TIMEOUT_MS,
  );

  it('every download left a record of what came from where', async () => {
    const { downloads } = await unary(records.listDownloads.bind(records), {}, CALL);
    const all = downloads.filter(({ url }) => url.endsWith('/preheat-all.bin'));
    // A seed that is triggered while it preheats registers once more, for what it has.
    expect([...new Set(all.map(({ hostId }) => hostId))].sort()).toEqual(hostIds());
    expect(all.every(({ result }) => result === extRecords.DownloadResult.DOWNLOAD_RESULT_SUCCEEDED)).toBe(true);
    const sum = (of: (record: extRecords.DownloadRecord) => bigint): bigint =>
      all.reduce((total, record) => total + of(record), 0n);
    expect(sum(({ bytesFromSource }) => bytesFromSource)).toBe(BigInt(CONTENT_BYTES));
    // A real seed that registers once more names no parent for what its other download has read: that counts as its own.
    const fetched = sum(({ bytesFromPeers, bytesFromSeeds }) => bytesFromPeers + bytesFromSeeds);
    expect(fetched).toBe(2n * BigInt(CONTENT_BYTES));
  });
});
