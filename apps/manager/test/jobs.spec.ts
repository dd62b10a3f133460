import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Database, insertRow, JobEntity, JobRunEntity, PeerEntity } from '@dragonfly/persistence';
import { extJobs } from '@dragonfly/proto';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { waitFor } from '@dragonfly/testkit';
import { JobReconciler } from '../src/jobs/job-reconciler.js';
import { JobRows } from '../src/jobs/job-rows.js';
import { signatureOf } from '../src/webhooks/webhook-sender.js';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { FakeOriginalScheduler, FakeScheduler, succeed } from './fake-scheduler.js';
import { addScheduler, endOf, jobOf, LOOPBACK_ALLOWED, type SeenJob } from './job-setup.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

const FILE = 'http://origin.example/file.bin';

describe.each(engines)('jobs on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;

  const preheat = (args: object, more: object = {}): Promise<Answer> =>
    manager.request('POST', '/api/v1/jobs', { type: 'preheat', args, scheduler_cluster_ids: [1], ...more });
  const accepted = async (args: object, more: object = {}): Promise<SeenJob> => {
    const answer = await preheat(args, more);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body as SeenJob;
  };

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    manager = await RunningManager.start(await freshDatabase(), undefined, LOOPBACK_ALLOWED);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
  });
  beforeEach(() => {
    scheduler.runs.length = 0;
    scheduler.play = async (request, stream) => succeed(request, stream);
  });

  describe('preheat', () => {
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

  describe('running jobs', () => {
    it('tell how far they are, and end when they are cancelled', async () => {
      const over = Promise.withResolvers<void>();
      scheduler.play = async ({ jobId }, stream) => {
        stream.send({
          jobId,
          at: new Date(),
          event: {
            $case: 'progress',
            value: { total: 4, succeeded: 1, failed: 0, completedBytes: 10n, totalBytes: 40n },
          },
        });
        await over.promise;
      };
      const job = await accepted({ type: 'file', url: `${FILE}?slow` });
      await waitFor(async () => (await jobOf(manager, job.id)).result?.progress['succeeded'] === 1, {
        what: 'progress',
      });
      expect(await jobOf(manager, job.id)).toMatchObject({ state: 'PENDING', result: { state: 'PENDING' } });
      expect(await manager.request('POST', `/api/v1/jobs/${job.id}/cancel`)).toMatchObject({ status: 200 });
      const ended = await endOf(manager, job.id);
      expect(ended).toMatchObject({
        state: 'FAILURE',
        result: { cancelled: true, job_states: [{ state: 'FAILURE' }] },
      });
      expect(scheduler.cancelled).toEqual([scheduler.runs[0]?.jobId]);
      expect(await manager.request('POST', `/api/v1/jobs/${job.id}/cancel`)).toMatchObject({
        status: 409,
        body: { message: 'the job is not running' },
      });
      over.resolve();
    });

    it('are joined again when the stream breaks', async () => {
      let times = 0;
      scheduler.play = async (request, stream) => {
        times += 1;
        if (times > 1) {
          succeed(request, stream);
        }
      };
      const job = await accepted({ type: 'file', url: `${FILE}?broken` });
      expect(await endOf(manager, job.id)).toMatchObject({ state: 'SUCCESS' });
      expect(scheduler.runs.map(({ jobId }) => jobId)).toEqual([scheduler.runs[0]?.jobId, scheduler.runs[0]?.jobId]);
    });

    it('go when they are deleted', async () => {
      const over = Promise.withResolvers<void>();
      scheduler.play = () => over.promise;
      const job = await accepted({ type: 'file', url: `${FILE}?deleted` });
      await waitFor(() => scheduler.runs.length === 1, { what: 'the run' });
      expect(await manager.request('DELETE', `/api/v1/jobs/${job.id}`)).toMatchObject({ status: 200, body: '' });
      expect(await manager.request('GET', `/api/v1/jobs/${job.id}`)).toMatchObject({
        status: 404,
        body: { message: 'record not found' },
      });
      await waitFor(() => scheduler.cancelled.includes(scheduler.runs[0]?.jobId ?? '-'), { what: 'the cancelling' });
      over.resolve();
    });
  });

  it('lists the newest first, filtered and in pages, and changes the description', async () => {
    const first = await accepted({ type: 'file', url: FILE });
    const second = await accepted({ type: 'file', url: FILE });
    await endOf(manager, second.id);
    const page = await manager.request('GET', '/api/v1/jobs?type=preheat&state=SUCCESS&per_page=1');
    expect(page.body).toMatchObject([{ id: second.id, scheduler_clusters: null }]);
    expect(page.headers.get('link')).toContain('rel=last');
    expect(await manager.request('GET', '/api/v1/jobs?state=BAD')).toMatchObject({ status: 422 });
    expect(await manager.request('PATCH', `/api/v1/jobs/${first.id}`, { bio: 'new' })).toMatchObject({
      status: 200,
      body: { id: first.id, bio: 'new' },
    });
  });

  it('finds a task, deletes it, and says which hosts hold the layers of an image', async () => {
    const host = { id: 'h', hostname: 'peer-1', ip: '10.0.0.1', type: 0 };
    scheduler.play = async (request, stream) => succeed(request, stream, [host]);
    const found = await manager.request('POST', '/api/v1/jobs', { type: 'get_task', args: { url: FILE } });
    expect(await endOf(manager, (found.body as SeenJob).id)).toMatchObject({
      state: 'SUCCESS',
      result: {
        job_states: [
          {
            task_name: 'get_task',
            results: [
              {
                peers: [{ id: 'peer', hostname: 'peer-1', ip: '10.0.0.1', host_type: 'normal', IsFinished: true }],
                scheduler_cluster_id: 1,
              },
            ],
          },
        ],
      },
    });
    expect(scheduler.runs[0]?.job).toMatchObject({
      $case: 'getTask',
      value: { taskId: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });

    scheduler.play = async ({ jobId }, stream) => {
      stream.send({
        jobId,
        at: new Date(),
        event: {
          $case: 'taskOutcome',
          value: extJobs.TaskOutcome.fromPartial({ hostname: 'peer-1', ip: '10.0.0.1', description: 'busy' }),
        },
      });
      stream.send({
        jobId,
        at: new Date(),
        event: {
          $case: 'finished',
          value: { state: extJobs.JobState.JOB_STATE_FAILED, description: '1 failed', progress: undefined },
        },
      });
    };
    const deleted = await manager.request('POST', '/api/v1/jobs', { type: 'delete_task', args: { task_id: 'a' } });
    expect(await endOf(manager, (deleted.body as SeenJob).id)).toMatchObject({
      state: 'FAILURE',
      result: {
        job_states: [
          {
            error: '1 failed',
            results: [
              {
                success_tasks: [],
                failure_tasks: [{ hostname: 'peer-1', ip: '10.0.0.1', host_type: 'normal', description: 'busy' }],
              },
            ],
          },
        ],
      },
    });

    scheduler.play = async (request, stream) => succeed(request, stream, [host]);
    const registry = await FakeRegistry.start({ auth: 'open' });
    registry.putImage('app', [Buffer.from('a'), Buffer.from('b')], { tag: '1' });
    const distribution = await manager.request('POST', '/api/v1/jobs', {
      type: 'get_image_distribution',
      args: { url: registry.manifestUrl('app', '1') },
    });
    expect(distribution.status).toBe(200);
    const { image, peers } = distribution.body as {
      image: { layers: unknown[] };
      peers: { cached_layers: unknown[] }[];
    };
    expect(image.layers).toHaveLength(3);
    expect(peers).toEqual([
      { ip: '10.0.0.1', hostname: 'peer-1', scheduler_cluster_id: 1, cached_layers: expect.any(Array) },
    ]);
    expect(peers[0]?.cached_layers).toHaveLength(3);
    await registry.close();
  });

  it('brings the peers up to date, and answers with OK', async () => {
    const host = (n: number, more: object = {}): object => ({
      id: `h-${n}`,
      hostname: `peer-${n}`,
      ip: '10.0.0.1',
      port: 4000,
      downloadPort: 4000,
      schedulerClusterId: 1n,
      build: { gitVersion: 'dfts-0.1.0' },
      ...more,
    });
    scheduler.play = async (request, stream) =>
      succeed(request, stream, [host(1), host(2, { type: 1, schedulerClusterId: 0n })]);
    const answer = await manager.request('POST', '/api/v1/jobs', { type: 'sync_peers', scheduler_cluster_ids: [1] });
    expect(answer).toMatchObject({ status: 200, body: 'OK' });
    const peers = (): Promise<PeerEntity[]> =>
      manager.app.get(Database).manager.find(PeerEntity, { order: { id: 'ASC' } });
    const rows = await peers();
    expect(rows).toMatchObject([
      { hostName: 'peer-1', type: 'normal', state: 'active', gitVersion: 'dfts-0.1.0', schedulerClusterId: 1 },
      { hostName: 'peer-2', type: 'super' },
    ]);
    scheduler.play = async (request, stream) => succeed(request, stream, [host(2, { port: 4001 }), host(4)]);
    await manager.request('POST', '/api/v1/jobs', { type: 'sync_peers' });
    expect(await peers()).toMatchObject([
      { id: rows[1]?.id, hostName: 'peer-2', port: 4001, type: 'normal' },
      { hostName: 'peer-4' },
    ]);
  });

  it('collects old jobs, on request and with a row about it', async () => {
    const job = await accepted({ type: 'file', url: FILE });
    await endOf(manager, job.id);
    const database = manager.app.get(Database);
    const longAgo = new Date(Date.now() - 7 * 3_600_000);
    await database.transaction((rows) => rows.update(JobEntity, { id: job.id }, { createdAt: longAgo }));
    const answer = await manager.request('POST', '/api/v1/jobs', { type: 'gc', args: { type: 'job' }, user_id: 1 });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        type: 'gc',
        state: 'SUCCESS',
        user_id: 1,
        args: { type: 'job', ttl: 21_600_000_000_000, batch_size: 5_000 },
        result: { purged: 1 },
      },
    });
    expect(await manager.request('GET', `/api/v1/jobs/${job.id}`)).toMatchObject({ status: 404 });
    expect(await database.manager.countBy(JobRunEntity, { jobId: job.id })).toBe(0);
    expect(await manager.request('POST', '/api/v1/jobs', { type: 'gc', args: { type: 'peer' } })).toMatchObject({
      status: 422,
    });
  });

  it('tells a webhook of the end, signed, and again when it fails (seed 002-27)', async () => {
    const seen: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
    const receiver: Server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
        response.writeHead(seen.length === 1 ? 503 : 204).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const { port } = receiver.address() as AddressInfo;
    const job = await accepted(
      { type: 'file', url: FILE },
      { webhook: { url: `http://127.0.0.1:${port}/hook`, secret: 'shared' } },
    );
    await waitFor(() => seen.length === 2, { what: 'two messages', timeoutMs: 15_000 });
    const [, { headers, body } = { headers: {}, body: '' }] = seen;
    expect(JSON.parse(body)).toMatchObject({ event: 'job.finished', job: { id: job.id, state: 'SUCCESS' } });
    const timestamp = Number(headers['x-dragonfly-timestamp']);
    expect(headers['x-dragonfly-signature']).toBe(signatureOf('shared', timestamp, body));
    expect(headers['x-dragonfly-attempt']).toBe('2');
    receiver.closeAllConnections();
    receiver.close();
  });
});

describe.each(engines)('a queue that loses entries, on $name', ({ freshDatabase }) => {
  it('loses no job: rows that no entry stands for are put in again, those of nobody fail', async () => {
    const scheduler = await FakeScheduler.start();
    const manager = await RunningManager.start(await freshDatabase(), undefined, LOOPBACK_ALLOWED);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
    // As if the manager had ended, or Redis been away, between the row and the queue.
    const { job } = await manager.app.get(JobRows).insert({
      taskId: 'group_lost',
      bio: '',
      type: 'preheat',
      args: { type: 'file', url: FILE },
      userId: 0,
      clusterIds: [1],
      secrets: null,
      plan: { clusterIds: [1] },
      webhook: {},
    });
    const longAgo = new Date(Date.now() - 3 * 3_600_000);
    const orphan = await manager.app.get(Database).transaction((rows) =>
      insertRow(rows, JobEntity, longAgo, {
        taskId: 'group_old',
        type: 'preheat',
        state: 'PENDING',
        args: {},
        userId: 0,
      }),
    );
    await manager.app.get(JobReconciler).reconcile();
    expect(await endOf(manager, job.id)).toMatchObject({ state: 'SUCCESS' });
    expect(await jobOf(manager, orphan)).toMatchObject({ state: 'FAILURE', result: { state: 'FAILURE' } });
    await manager.stop();
    await scheduler.stop();
  });
});

describe.each(engines)('restarts on $name', ({ freshDatabase }) => {
  it('lose no job: what ran goes on under its id when the manager is back', async () => {
    const database = await freshDatabase();
    const workHome = freshDirectory();
    const scheduler = await FakeScheduler.start();
    const never = Promise.withResolvers<void>();
    scheduler.play = () => never.promise;
    let manager = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
    const answer = await manager.request('POST', '/api/v1/jobs', {
      type: 'preheat',
      args: { type: 'file', url: FILE, headers: { Authorization: 'secret' } },
    });
    const { id } = answer.body as SeenJob;
    await waitFor(() => scheduler.runs.length === 1, { what: 'the run' });
    await manager.stop();
    scheduler.play = async (request, stream) => succeed(request, stream);
    manager = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
    await manager.signIn();
    expect(await endOf(manager, id)).toMatchObject({ state: 'SUCCESS' });
    expect(scheduler.runs.map(({ jobId }) => jobId)).toEqual([scheduler.runs[0]?.jobId, scheduler.runs[0]?.jobId]);
    expect(scheduler.cancelled).toEqual([]);
    never.resolve();
    await manager.stop();
    await scheduler.stop();
  });
});

describe('a scheduler of the original', () => {
  let manager: RunningManager;
  let scheduler: FakeOriginalScheduler;

  beforeAll(async () => {
    const engine = engines[0];
    scheduler = await FakeOriginalScheduler.start();
    manager = await RunningManager.start(await (engine?.freshDatabase() ?? {}), undefined, LOOPBACK_ALLOWED);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
  });
  const run = async (body: object): Promise<SeenJob> => {
    const answer = await manager.request('POST', '/api/v1/jobs', body);
    expect(answer).toMatchObject({ status: 200 });
    return endOf(manager, (answer.body as SeenJob).id);
  };

  it('preheats a file in the background, and is asked until it is there', async () => {
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, application: 'app' } });
    expect(job).toMatchObject({
      state: 'SUCCESS',
      result: { job_states: [{ results: [{ success_tasks: [{ url: FILE, hostname: 'go-seed', ip: '127.0.0.1' }] }] }] },
    });
    expect(scheduler.preheats).toMatchObject([{ url: FILE, application: 'app', scope: 'single_seed_peer' }]);
  });

  it('has a file with a tag fetched by its hosts, since it forgets tags', async () => {
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, tag: 'v1', scope: 'all_seed_peers' } });
    expect(job.state).toBe('SUCCESS');
    expect(scheduler.downloads).toMatchObject([{ url: FILE, tag: 'v1' }]);
    expect(scheduler.preheats).toHaveLength(1);
  });

  it('preheats an image by its own means', async () => {
    const registry = await FakeRegistry.start({ auth: 'open' });
    registry.putImage('app', [Buffer.from('x')], { tag: '1' });
    const url = registry.manifestUrl('app', '1');
    const origin = new URL(url).origin;
    const manifest = (await (await fetch(url)).json()) as { config: { digest: string }; layers: { digest: string }[] };
    scheduler.layers = [manifest.config, ...manifest.layers].map(({ digest }) => `${origin}/v2/app/blobs/${digest}`);
    const job = await run({ type: 'preheat', args: { type: 'image', url } });
    expect(job).toMatchObject({ state: 'SUCCESS' });
    expect(scheduler.images).toMatchObject([{ url, scope: 'single_seed_peer' }]);
    await registry.close();
  });

  it('fails when the time is over, with what is missing', async () => {
    scheduler.questionsUntilDone = Infinity;
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, timeout: 700_000_000 } });
    expect(job).toMatchObject({
      state: 'FAILURE',
      result: {
        job_states: [
          {
            error: expect.stringContaining('timed out'),
            results: [{ failure_tasks: [{ url: FILE, description: 'not there when the waiting ended' }] }],
          },
        ],
      },
    });
  });

  it('is asked for its hosts, which are asked for a task, and delete it', async () => {
    scheduler.held.add('task-1');
    expect(await run({ type: 'get_task', args: { task_id: 'task-1' } })).toMatchObject({
      result: {
        job_states: [{ results: [{ peers: [{ hostname: 'go-seed', host_type: 'super', IsFinished: true }] }] }],
      },
    });
    expect(await run({ type: 'delete_task', args: { task_id: 'task-1' } })).toMatchObject({
      result: { job_states: [{ results: [{ success_tasks: [{ hostname: 'go-seed' }], failure_tasks: [] }] }] },
    });
    expect(scheduler.held.size).toBe(0);
    expect(await manager.request('POST', '/api/v1/jobs', { type: 'sync_peers' })).toMatchObject({ body: 'OK' });
    const peers = await manager.app.get(Database).manager.find(PeerEntity);
    expect(peers).toMatchObject([{ hostName: 'go-seed', type: 'super' }]);
  });
});
