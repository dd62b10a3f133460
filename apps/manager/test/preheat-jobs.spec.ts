import { Database, JobEntity, JobRunEntity } from '@dragonfly/persistence';
import { extJobs } from '@dragonfly/proto';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { acceptedPreheat, endOf, managerWith, preheat as askToPreheat, type SeenJob } from './job-setup.js';
import type { RunningManager, Answer } from './running-manager.js';

afterAll(stopEngines);

const FILE = 'http://origin.example/file.bin';

describe.each(engines)('a preheat on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;

  const preheat = (args: object, more?: object): Promise<Answer> => askToPreheat(manager, args, more);
  const accepted = (args: object, more?: object): Promise<SeenJob> => acceptedPreheat(manager, args, more);

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    manager = await managerWith(scheduler, await freshDatabase());
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
  });
  beforeEach(() => scheduler.forget());

  it('answers with the pending job, and ends with the result of each scheduler (seed 002-39)', async () => {
    const job = await accepted({ type: 'file', url: FILE, tag: 't', headers: { 'X-A': '1' } }, { bio: 'mine' });
    expect(job).toMatchObject({
      state: 'PENDING',
      bio: 'mine',
      type: 'preheat',
      result: null,
      is_del: 0,
      user: { id: 0, configs: null },
      scheduler_clusters: [{ id: 1, name: 'cluster-1' }],
    });
    expect(job.task_id).toMatch(/^group_[0-9a-f-]{36}$/);
    expect(job.args).toMatchObject({
      type: 'file',
      url: FILE,
      urls: null,
      scope: 'single_seed_peer',
      headers: { 'X-A': '1' },
      concurrent_task_count: 8,
      concurrent_peer_count: 500,
      timeout: 3_600_000_000_000,
      percentage: null,
    });
    const ended = await endOf(manager, job.id);
    expect(ended).toMatchObject({
      state: 'SUCCESS',
      result: {
        group_uuid: job.task_id,
        state: 'SUCCESS',
        progress: { total: 1, succeeded: 1, failed: 0, completed_bytes: 7, total_bytes: 7 },
        job_states: [
          {
            task_name: 'preheat',
            state: 'SUCCESS',
            error: '',
            results: [
              {
                success_tasks: [{ url: FILE, hostname: 'seed', ip: '10.0.0.9' }],
                failure_tasks: [],
                scheduler_cluster_id: 1,
              },
            ],
            scheduler: { hostname: 'scheduler-1', ip: '127.0.0.1' },
          },
        ],
      },
    });
    expect(scheduler.runs).toHaveLength(1);
    expect(scheduler.runs[0]?.job).toMatchObject({
      value: {
        downloads: [{ url: FILE, tag: 't', requestHeader: { 'X-A': '1' } }],
        scope: extJobs.JobScope.JOB_SCOPE_SINGLE_SEED_PEER,
      },
    });
  });

  it('sends the scope, and several files as one job', async () => {
    const urls = [`${FILE}?1`, `${FILE}?2`];
    const job = await accepted({
      type: 'file',
      urls,
      url: FILE,
      scope: 'all_peers',
      percentage: 30,
      ips: ['1.2.3.4'],
    });
    await endOf(manager, job.id);
    expect(scheduler.runs[0]?.job?.value).toMatchObject({
      downloads: [{ url: urls[0] }, { url: urls[1] }, { url: FILE }],
      scope: extJobs.JobScope.JOB_SCOPE_ALL_PEERS,
      percentage: 30,
      ips: ['1.2.3.4'],
    });
  });

  it('fails with the reason of the scheduler, and can be tried again with its secrets', async () => {
    scheduler.play = async ({ jobId }, stream) => {
      stream.send({
        jobId,
        at: new Date(),
        event: {
          $case: 'finished',
          value: { state: extJobs.JobState.JOB_STATE_FAILED, description: 'no seed peer', progress: undefined },
        },
      });
    };
    const job = await accepted({ type: 'file', url: FILE, headers: { Authorization: 'Bearer s3cret' } });
    const failed = await endOf(manager, job.id);
    expect(failed).toMatchObject({
      state: 'FAILURE',
      result: { state: 'FAILURE', job_states: [{ state: 'FAILURE', error: 'no seed peer', results: null }] },
    });
    scheduler.play = async (request, stream) => succeed(request, stream);
    expect(await manager.request('POST', `/api/v1/jobs/${job.id}/retry`)).toMatchObject({
      status: 200,
      body: { id: job.id, state: 'PENDING' },
    });
    expect(await endOf(manager, job.id)).toMatchObject({ state: 'SUCCESS' });
    const [first, second] = scheduler.runs;
    expect(second?.jobId).not.toBe(first?.jobId);
    expect(second?.job?.value).toMatchObject({ downloads: [{ requestHeader: { Authorization: 'Bearer s3cret' } }] });
    expect(await manager.request('POST', `/api/v1/jobs/${job.id}/retry`)).toMatchObject({ status: 409 });
  });

  it('shows no secret anywhere, and keeps none in clear (pain 42)', async () => {
    const registry = await FakeRegistry.start({ auth: 'bearer', username: 'bob', password: 'hunter2-secret' });
    registry.putImage('team/app', [Buffer.from('layer')], { tag: '1' });
    const job = await accepted({
      type: 'image',
      url: registry.manifestUrl('team/app', '1'),
      username: 'bob',
      password: 'hunter2-secret',
      headers: { 'X-Token': 'hunter2-header' },
    });
    expect(job.args).toMatchObject({ username: 'bob', password: '******', headers: { 'X-Token': '******' } });
    const ended = await endOf(manager, job.id);
    expect(ended.state).toBe('SUCCESS');
    const list = await manager.request('GET', '/api/v1/jobs?type=preheat');
    expect(JSON.stringify([ended, list.body])).not.toContain('hunter2');
    const database = manager.app.get(Database);
    const rows = [
      await database.manager.findOneByOrFail(JobEntity, { id: job.id }),
      await database.manager.findOneByOrFail(JobRunEntity, { jobId: job.id }),
    ];
    expect(JSON.stringify(rows)).not.toContain('hunter2');
    expect(rows[1]).toMatchObject({ secrets: null });
    // The hosts get the token, not the password.
    const value = scheduler.runs[0]?.job?.value as extJobs.PreheatJob;
    expect(value.downloads.every((one) => one.requestHeader['Authorization']?.startsWith('Bearer '))).toBe(true);
    expect(value.downloads.every((one) => one.enableTaskIdBasedBlobDigest)).toBe(true);
    expect(value.downloads.map((one) => one.url)).toEqual(
      expect.arrayContaining([expect.stringMatching(/\/v2\/team\/app\/blobs\/sha256:[0-9a-f]{64}$/)]),
    );
    await registry.close();
  });

  it.each<[string, object, number, unknown]>([
    ['an unknown type', { type: 'x' }, 422, { errors: 'Unknow type' }],
    [
      'no arguments',
      { type: 'preheat' },
      422,
      {
        errors: "Key: 'CreatePreheatJobRequest.Args' Error:Field validation for 'Args' failed on the 'required' tag",
      },
    ],
    [
      'an empty list of addresses',
      { type: 'preheat', args: { type: 'file', url: FILE, ips: [] } },
      422,
      {
        errors: "Key: 'CreatePreheatJobRequest.Args.IPs' Error:Field validation for 'IPs' failed on the 'gte' tag",
      },
    ],
    [
      'a piece length that is too small',
      { type: 'preheat', args: { type: 'file', url: FILE, piece_length: 1 } },
      422,
      {
        errors:
          "Key: 'CreatePreheatJobRequest.Args.PieceLength' Error:Field validation for 'PieceLength' failed on the 'gte' tag",
      },
    ],
    [
      'no URL at all',
      { type: 'preheat', args: { type: 'file' } },
      500,
      { message: 'invalid params: url or urls is required' },
    ],
    [
      'an image without URL',
      { type: 'preheat', args: { type: 'image' } },
      500,
      { message: 'invalid params: url is required' },
    ],
    [
      'a cluster that is not there',
      { type: 'preheat', args: { type: 'file', url: FILE }, scheduler_cluster_ids: [77] },
      500,
      { message: 'candidate schedulers not found' },
    ],
    [
      'a task that is not named',
      { type: 'get_task', args: { tag: 'x' } },
      422,
      { errors: 'invalid params: task_id, url or content_for_calculating_task_id is required' },
    ],
    [
      'tasks of a cluster that is not there',
      { type: 'delete_task', args: { task_id: 'x' }, scheduler_cluster_ids: [77] },
      500,
      { message: 'active schedulers not found' },
    ],
  ])('refuses %s', async (_name, body, status, expected) => {
    expect(await manager.request('POST', '/api/v1/jobs', body)).toMatchObject({ status, body: expected });
  });

  it('refuses registries at addresses that are not allowed', async () => {
    expect(await preheat({ type: 'image', url: 'http://169.254.169.254/v2/a/b/manifests/1' })).toMatchObject({
      status: 500,
      body: { message: expect.stringContaining('169.254.169.254') },
    });
  });

  it('is limited by the rate of the cluster', async () => {
    const cluster = await manager.request('POST', '/api/v1/scheduler-clusters', {
      name: 'slow',
      config: { candidate_parent_limit: 3, filter_parent_limit: 15, job_rate_limit: 1 },
      client_config: {},
      seed_client_config: {},
    });
    const { id } = cluster.body as { id: number };
    const more = { scheduler_cluster_ids: [id] };
    const answers = await Promise.all(Array.from({ length: 8 }, () => preheat({ type: 'file', url: FILE }, more)));
    // Some of them may fall into the next second; there is no scheduler for those that pass.
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(refused[0]?.body).toEqual({ message: 'rate limit exceeded' });
    expect(answers.map(({ status }) => status)).toContain(500);
  });
});
