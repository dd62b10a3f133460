import { once } from 'node:events';
import { DfError } from '@dragonfly/errors';
import { type DeepPartial, extJobs } from '@dragonfly/proto';
import { createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { FAKE_PIECE_BYTES, FakeDaemon, sendContent } from './support/fake-daemon.js';
import { TestCluster } from './support/test-cluster.js';

const CONTENT_BYTES = 2n * FAKE_PIECE_BYTES;
const { JobScope, JobState } = extJobs;

let cluster: TestCluster;
let client: extJobs.JobServiceClient;
let daemons: FakeDaemon[];

beforeEach(async () => {
  cluster = await TestCluster.start();
  client = createGrpcClient(extJobs.JobServiceClient, `127.0.0.1:${cluster.app.port}`);
  daemons = [];
});
afterEach(async () => {
  client.close();
  for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

/** Daemons that have announced themselves, each under an address of its own. */
async function announce(count: number, isSeed: boolean): Promise<FakeDaemon[]> {
  const started = await Promise.all(Array.from({ length: count }, () => FakeDaemon.start()));
  daemons.push(...started);
  for (const daemon of started) {
    const name = `${isSeed ? 'seed' : 'peer'}-${daemons.indexOf(daemon)}`;
    await cluster.host(name, { type: isSeed ? 1 : 0, port: daemon.port, downloadPort: daemon.port });
  }
  await waitFor(() => cluster.app.readiness.ready, { what: 'usable seeds' });
  return started;
}

interface Told {
  readonly events: readonly extJobs.JobEvent[];
  readonly outcomes: readonly extJobs.TaskOutcome[];
  readonly hosts: readonly extJobs.JobHost[];
  readonly finished: extJobs.JobFinished;
}

async function run(job: DeepPartial<extJobs.RunJobRequest>): Promise<Told> {
  const events: extJobs.JobEvent[] = [];
  const call = client.runJob(extJobs.RunJobRequest.fromPartial({ timeout: { seconds: 20n, nanos: 0 }, ...job }));
  for await (const event of readStream(call)) events.push(event);
  const last = events.at(-1)?.event;
  if (last?.$case !== 'finished') throw new Error('the last event must be finished');
  return {
    events,
    outcomes: events.flatMap(({ event }) => (event?.$case === 'taskOutcome' ? [event.value] : [])),
    hosts: events.flatMap(({ event }) => (event?.$case === 'hosts' ? event.value.hosts : [])),
    finished: last.value,
  };
}

function preheat(
  urls: readonly string[],
  more: DeepPartial<extJobs.PreheatJob> = {},
): DeepPartial<extJobs.RunJobRequest> {
  const downloads = urls.map((url) => aDownload({ url }));
  return { jobId: 'job', job: { $case: 'preheat', value: { downloads, ...more } } };
}

const URLS = ['a', 'b', 'c', 'd'].map((name) => `http://origin.example/${name}`);

describe('preheat', () => {
  it('lets the one seed that the ring names fetch each task, and counts the bytes', async () => {
    const seeds = await announce(3, true);
    await announce(2, false);
    const { outcomes, finished } = await run(preheat(URLS, { scope: JobScope.JOB_SCOPE_SINGLE_SEED_PEER }));
    expect(finished).toMatchObject({
      state: JobState.JOB_STATE_SUCCEEDED,
      progress: {
        total: 4,
        succeeded: 4,
        failed: 0,
        completedBytes: 4n * CONTENT_BYTES,
        totalBytes: 4n * CONTENT_BYTES,
      },
    });
    expect(outcomes.map(({ url }) => url).sort()).toEqual(URLS);
    expect(outcomes.every((outcome) => outcome.hostType === 1 && outcome.contentLength === CONTENT_BYTES)).toBe(true);
    expect(seeds.flatMap((seed) => seed.downloads)).toHaveLength(4);
  });

  it('asks with the download of the request, through the scheduler, for this scheduler', async () => {
    const [seed] = await announce(1, true);
    await run(
      preheat(['http://origin.example/a'], {
        downloads: [aDownload({ tag: 'tag', application: 'app', requestHeader: { k: 'v' } })],
      }),
    );
    expect(seed?.downloads).toMatchObject([
      {
        tag: 'tag',
        application: 'app',
        requestHeader: { k: 'v' },
        needBackToSource: false,
        schedulingPolicy: 1,
        remoteIp: '127.0.0.1',
      },
    ]);
  });

  it('takes another seed when the first cannot be reached', async () => {
    const [first, second] = await announce(2, true);
    await first?.[Symbol.asyncDispose]();
    const { finished } = await run(preheat(URLS));
    expect(finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(second?.downloads).toHaveLength(4);
  });

  it.each([
    ['all seeds', { scope: JobScope.JOB_SCOPE_ALL_SEED_PEERS }, 2],
    ['all peers', { scope: JobScope.JOB_SCOPE_ALL_PEERS }, 5],
    ['a number of them', { scope: JobScope.JOB_SCOPE_ALL_PEERS, count: 3, percentage: 100 }, 3],
    ['a number above all of them', { scope: JobScope.JOB_SCOPE_ALL_PEERS, count: 200 }, 5],
    ['a share of them, rounded up', { scope: JobScope.JOB_SCOPE_ALL_PEERS, percentage: 41 }, 3],
    ['named ones', { scope: JobScope.JOB_SCOPE_ALL_SEED_PEERS, ips: ['127.0.0.1'], count: 1 }, 2],
  ])('reaches %s', async (_, more, expected) => {
    await announce(2, true);
    await announce(3, false);
    const { outcomes, finished } = await run(preheat([URLS[0] ?? ''], more));
    expect(finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(outcomes).toHaveLength(expected);
    expect(daemons.filter((daemon) => daemon.downloads.length === 1)).toHaveLength(expected);
  });

  it('tells which hosts failed, and why, and goes on with the others', async () => {
    const [broken] = await announce(3, true);
    await announce(1, false);
    if (broken === undefined) throw new Error('three were announced');
    broken.onDownload = async () => Promise.reject(new DfError('no-space', 'disk is full'));
    const request = preheat(URLS, { scope: JobScope.JOB_SCOPE_ALL_SEED_PEERS, ips: ['127.0.0.1', '10.9.9.9'] });
    const { outcomes, finished } = await run(request);
    expect(finished).toMatchObject({
      state: JobState.JOB_STATE_FAILED,
      progress: { total: 16, succeeded: 8, failed: 8 },
    });
    expect(finished.description).toMatch(/^8 of 16 downloads failed, the first: /);
    const reasons = new Set(outcomes.filter(({ succeeded }) => !succeeded).map(({ description }) => description));
    expect(reasons).toEqual(new Set(['disk is full', 'no host of the scope has the address 10.9.9.9']));
  });

  it('keeps to the numbers of tasks and hosts at a time', async () => {
    const seeds = await announce(3, true);
    let running = 0;
    let most = 0;
    const gate = new AbortController();
    for (const seed of seeds) {
      seed.onDownload = async (download, stream) => {
        running += 1;
        most = Math.max(most, running);
        if (!gate.signal.aborted) await once(gate.signal, 'abort');
        await sendContent(stream, download.url);
        running -= 1;
      };
    }
    const more = { scope: JobScope.JOB_SCOPE_ALL_SEED_PEERS, concurrentTaskCount: 2, concurrentPeerCount: 2 };
    const told = run(preheat(URLS, more));
    await waitFor(() => running === 4, { what: 'two tasks on two hosts each' });
    gate.abort();
    expect((await told).finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(most).toBe(4);
    expect(seeds.flatMap((seed) => seed.downloads)).toHaveLength(12);
  });

  it('fails at once when nobody is there to fetch', async () => {
    await announce(1, false);
    const all = await run(preheat(URLS, { scope: JobScope.JOB_SCOPE_ALL_SEED_PEERS }));
    expect(all.finished).toMatchObject({
      state: JobState.JOB_STATE_FAILED,
      description: 'no seed peers are known to this scheduler',
    });
    const single = await run({ ...preheat([URLS[0] ?? '']), jobId: 'other' });
    expect(single.finished).toMatchObject({ state: JobState.JOB_STATE_FAILED, progress: { total: 1, failed: 1 } });
    expect(single.outcomes[0]?.description).toBe('no seed peer that serves is known to this scheduler');
  });
});

describe('a running job', () => {
  let release: () => void = () => undefined;

  /** A job that has one piece of two and waits for {@link release}. */
  async function halfway(): Promise<{ readonly told: Promise<Told> }> {
    const [seed] = await announce(1, true);
    if (seed === undefined) throw new Error('one was announced');
    const released = new Promise<void>((resolve) => (release = resolve));
    seed.onDownload = async (download, stream) => {
      await sendContent(stream, download.url, 1);
      await Promise.race([released, new Promise<void>((resolve) => stream.onCancel(() => resolve()))]);
    };
    const told = run(preheat([URLS[0] ?? '']));
    await waitFor(() => seed.running === 1, { what: 'the download' });
    return { told };
  }

  it('is joined by its id and tells its progress', async () => {
    const { told } = await halfway();
    const call = client.runJob(
      extJobs.RunJobRequest.fromPartial({ ...preheat([URLS[0] ?? '']), timeout: { seconds: 1n, nanos: 0 } }),
    );
    const seen: (string | undefined)[] = [];
    for await (const { event } of readStream(call)) {
      seen.push(event?.$case);
      if (event?.$case === 'progress' && event.value.completedBytes === FAKE_PIECE_BYTES) release();
    }
    expect(seen).toContain('progress');
    expect(seen).toContain('taskOutcome');
    expect(seen.at(-1)).toBe('finished');
    expect((await told).finished.progress).toMatchObject({ completedBytes: CONTENT_BYTES, totalBytes: CONTENT_BYTES });
    expect(daemons[0]?.downloads).toHaveLength(1);
  });

  it('goes on when nobody listens, and is told from the beginning to who comes later', async () => {
    const [seed] = await announce(1, true);
    if (seed === undefined) throw new Error('one was announced');
    const call = client.runJob(
      extJobs.RunJobRequest.fromPartial({ ...preheat(URLS), timeout: { seconds: 20n, nanos: 0 } }),
    );
    for await (const _ of readStream(call)) break;
    await waitFor(() => seed.downloads.length === 4, { what: 'all downloads' });
    const { outcomes, finished } = await run(preheat(URLS));
    expect(finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(outcomes).toHaveLength(4);
    expect(seed.downloads).toHaveLength(4);
  });

  it('is cancelled: what is under way is aborted', async () => {
    const { told } = await halfway();
    await unary(client.cancelJob.bind(client), { jobId: 'job' }, { deadlineMs: 5_000 });
    const { finished } = await told;
    expect(finished).toMatchObject({ state: JobState.JOB_STATE_CANCELLED, progress: { failed: 1 } });
    expect(finished.progress?.totalBytes).toBe(FAKE_PIECE_BYTES);
    await waitFor(() => daemons[0]?.running === 0, { what: 'the end of the download' });
  });

  it('ends in time', async () => {
    const [seed] = await announce(1, true);
    if (seed === undefined) throw new Error('one was announced');
    seed.onDownload = (_, stream) => new Promise<void>((resolve) => stream.onCancel(() => resolve()));
    const { finished } = await run({ ...preheat([URLS[0] ?? '']), timeout: { seconds: 1n, nanos: 0 } });
    expect(finished).toMatchObject({
      state: JobState.JOB_STATE_TIMED_OUT,
      description: 'the job took more than 1000 ms',
    });
  });

  it.each([
    ['parts of a millisecond', { seconds: 20n, nanos: 500 }],
    ['more than a timer of Node holds', { seconds: 9_000_000n, nanos: 0 }],
  ])('runs with a timeout of %s', async (_, timeout) => {
    await announce(1, true);
    const { finished } = await run({ ...preheat([URLS[0] ?? '']), timeout });
    expect(finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  });

  it('cannot be cancelled when nobody knows it', async () => {
    await expect(
      unary(client.cancelJob.bind(client), { jobId: 'nobody' }, { deadlineMs: 5_000 }),
    ).rejects.toMatchObject({ code: 'not-found', message: 'job nobody not found' });
  });
});

describe('jobs about a task', () => {
  it('get_task names the hosts that hold it', async () => {
    const [seed] = await announce(1, true);
    const [half] = await announce(2, false);
    seed?.held.set('task', true);
    half?.held.set('task', false);
    const { hosts, finished } = await run({ jobId: 'job', job: { $case: 'getTask', value: { taskId: 'task' } } });
    expect(finished).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, progress: { total: 3, failed: 0 } });
    const told = hosts.map(({ host, isFinished }) => [host?.hostname, isFinished]);
    expect(told.sort()).toEqual([
      ['peer-1', false],
      ['seed-0', true],
    ]);
  });

  it('get_task tells which hosts did not answer', async () => {
    const [gone] = await announce(2, false);
    await gone?.[Symbol.asyncDispose]();
    const { outcomes, finished } = await run({ jobId: 'job', job: { $case: 'getTask', value: { taskId: 'task' } } });
    expect(finished).toMatchObject({
      state: JobState.JOB_STATE_SUCCEEDED,
      description: '1 of 2 hosts did not answer',
      progress: { total: 2, succeeded: 1, failed: 1 },
    });
    expect(outcomes).toMatchObject([{ hostname: 'peer-0', succeeded: false }]);
  });

  it('delete_task deletes it where it is, and forgets the peers', async () => {
    const [seed] = await announce(1, true);
    const [holder, other] = await announce(2, false);
    for (const daemon of [seed, holder]) daemon?.held.set('task', true);
    const peer = await cluster.peer('task', '127.0.0.1-peer-1');
    await peer.register(aDownload({ needBackToSource: true }));
    await peer.answer();
    const { outcomes, finished } = await run({ jobId: 'job', job: { $case: 'deleteTask', value: { taskId: 'task' } } });
    expect(finished).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, progress: { total: 2, succeeded: 2 } });
    expect(outcomes.map(({ hostname }) => hostname).sort()).toEqual(['peer-1', 'seed-0']);
    expect([seed?.deleted, holder?.deleted, other?.deleted]).toEqual([['task'], ['task'], []]);
    await expect(cluster.statPeer(peer.id)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('delete_task tells where it could not be deleted', async () => {
    const [holder] = await announce(1, false);
    if (holder === undefined) throw new Error('one was announced');
    holder.held.set('task', true);
    holder.onDelete = () => {
      throw new DfError('failed-precondition', 'task is in use');
    };
    const { outcomes, finished } = await run({ jobId: 'job', job: { $case: 'deleteTask', value: { taskId: 'task' } } });
    expect(finished.state).toBe(JobState.JOB_STATE_FAILED);
    expect(outcomes).toMatchObject([{ succeeded: false, description: 'task is in use' }]);
  });

  it('sync_peers names every host', async () => {
    await announce(1, true);
    await announce(2, false);
    const { hosts, finished } = await run({ jobId: 'job', job: { $case: 'syncPeers', value: {} } });
    expect(finished.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(hosts.map(({ host }) => host?.id).sort()).toEqual([
      '127.0.0.1-peer-1',
      '127.0.0.1-peer-2',
      '127.0.0.1-seed-0',
    ]);
  });
});

it.each([
  ['an empty id', { jobId: '' }, 'RunJobRequest.job_id'],
  ['no timeout', { timeout: undefined }, 'RunJobRequest.timeout'],
  ['nothing to do', { job: undefined }, 'RunJobRequest.job'],
  ['no downloads', { job: { $case: 'preheat' as const, value: { downloads: [] } } }, 'downloads'],
])('a request with %s is refused', async (_, changes, field) => {
  await expect(run({ ...preheat(URLS), ...changes })).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining(field),
  });
});
