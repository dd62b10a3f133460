import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Database, JobEntity, JobRunEntity, PeerEntity } from '@dragonfly/persistence';
import { extJobs } from '@dragonfly/proto';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { waitFor } from '@dragonfly/testkit';
import { signatureOf } from '../src/webhooks/webhook-sender.js';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { acceptedPreheat, endOf, jobOf, managerWith, type SeenJob } from './job-setup.js';
import type { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const FILE = 'http://origin.example/file.bin';

describe.each(engines)('jobs on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;

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
