import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Database, WebhookDeliveryEntity } from '@dragonfly/persistence';
import { waitFor } from '@dragonfly/testkit';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { addScheduler, endOf, LOOPBACK_ALLOWED } from './job-setup.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

const FILE = { type: 'preheat', args: { type: 'file', url: 'http://origin.example/model', application: 'shop' } };

interface Trigger {
  id: number;
  state: string;
  state_reason: string;
  last_error: string;
  last_job_id: number;
}
interface Audit {
  actor_name: string;
  state: string;
  detail: { reason?: string };
}

/** Each test has a tenant with one member, cluster 1 and one application, and takes something away from it. */
describe.each(engines)('what a tenant has begun and lost the right to, on $name (seed 002-28)', ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;
  let origin: Server;
  const asked: string[] = [];
  let tenants = 0;

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    manager = await RunningManager.start(await freshDatabase(), undefined, LOOPBACK_ALLOWED);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
    origin = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(200, { 'content-type': 'text/html', etag: '"1"' });
      response.end('<html><title>Index of /data/</title><body><a href="a">a</a></body></html>');
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    origin.close();
    await manager.stop();
    await scheduler.stop();
  });
  beforeEach(() => {
    scheduler.runs.length = 0;
    scheduler.cancelled.length = 0;
    asked.length = 0;
    scheduler.play = async (run, stream) => succeed(run, stream);
  });

  const url = (path: string): string => `http://127.0.0.1:${(origin.address() as AddressInfo).port}${path}`;
  const idOf = ({ body }: Answer): number => (body as { id: number }).id;

  async function aTenant(): Promise<{
    name: string;
    member: string;
    userId: number;
    tenantId: number;
    change(changes: object): Promise<void>;
    ask(method: string, path: string, body?: unknown): Promise<Answer>;
  }> {
    tenants += 1;
    const [name, member] = [`tenant-${tenants}`, `member-${tenants}`];
    const account = { name: member, password: 'secret-pw', email: `${member}@example.com` };
    const userId = idOf(await manager.request('POST', '/api/v1/users/signup', account));
    await manager.request('PUT', `/api/v1/users/${userId}/roles/root`);
    const tenant = { name, scheduler_cluster_ids: [1], applications: ['shop'] };
    const tenantId = idOf(await manager.request('POST', '/api/v1/tenants', tenant));
    await manager.request('PUT', `/api/v1/tenants/${tenantId}/users/${userId}`);
    const signedIn = await manager.anonymously().request('POST', '/api/v1/users/signin', account);
    const session = { authorization: `Bearer ${(signedIn.body as { token: string }).token}` };
    return {
      name,
      member,
      userId,
      tenantId,
      ask: (method, path, body) => manager.anonymously().request(method, path, body, session),
      change: async (changes) => {
        const answer = await manager.request('PATCH', `/api/v1/tenants/${tenantId}`, changes);
        expect(answer.status).toBe(200);
      },
    };
  }

  const triggerOf = async (id: number): Promise<Trigger> =>
    (await manager.request('GET', `/api/v1/jobs/triggers/${id}`)).body as Trigger;
  const auditOf = async (path: string): Promise<Audit[]> => {
    await waitFor(async () => ((await ask()) as Audit[]).length > 0, { what: `an entry about ${path}` });
    return (await ask()) as Audit[];
    async function ask(): Promise<unknown> {
      return (await manager.request('GET', `/api/v1/audits?event_type=JOB&path=${path}`)).body;
    }
  };

  it.each([
    ['a cluster', { scheduler_cluster_ids: [] }, 'scheduler_cluster_ids: 1 not (or no longer) of the tenant'],
    ['an application', { applications: ['other'] }, 'args.application: "shop" is not (or no longer) of the tenant'],
  ])('a schedule rests while %s is gone, says why, and goes on when it is given back', async (_, loss, reason) => {
    const { name, member, ask, change } = await aTenant();
    const trigger = { name, kind: 'schedule', cron: '* * * * * *', job: FILE };
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', trigger));
    expect(await triggerOf(id)).toMatchObject({ state: 'active', state_reason: '' });
    await waitFor(() => scheduler.runs.length > 0, { what: 'a run of the schedule' });
    await change(loss);
    const why = `${reason} ${name}`;
    expect(await triggerOf(id)).toMatchObject({ state: 'suspended', state_reason: why });
    await waitFor(async () => (await triggerOf(id)).last_error === why, { what: 'a refused firing' });
    const { last_job_id: lastJob } = await triggerOf(id);
    // Fired by hand it is refused as well: two firings, one entry.
    expect(await manager.request('POST', `/api/v1/jobs/triggers/${id}/run`)).toMatchObject({
      body: { last_error: why, last_job_id: lastJob },
    });
    const entries = await auditOf(`/api/v1/jobs/triggers/${id}`);
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ actor_name: member, state: 'FAILURE', detail: { reason: why } });
    await change({ scheduler_cluster_ids: [1], applications: ['shop'] });
    await waitFor(async () => (await triggerOf(id)).last_job_id !== lastJob, { what: 'a run after that' });
    expect(await triggerOf(id)).toMatchObject({ state: 'active', last_error: '' });
    await ask('DELETE', `/api/v1/jobs/triggers/${id}`);
  });

  it('a watch does not even look any more', async () => {
    const { name, ask, change } = await aTenant();
    const job = { type: 'preheat', args: { type: 'file', application: 'shop' } };
    const watch = { type: 'object', url: url('/data/') };
    const trigger = { name, kind: 'watch', interval_seconds: 86_400, watch, job };
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', trigger));
    const look = (): Promise<Answer> => manager.request('POST', `/api/v1/jobs/triggers/${id}/run`);
    expect(await look()).toMatchObject({ status: 200, body: { last_error: '' } });
    expect(asked.length).toBeGreaterThan(0);
    await change({ scheduler_cluster_ids: [] });
    asked.length = 0;
    expect(await look()).toMatchObject({
      status: 200,
      body: { state: 'suspended', last_error: `scheduler_cluster_ids: 1 not (or no longer) of the tenant ${name}` },
    });
    expect(asked).toEqual([]);
  });

  it("a registry's notification begins nothing, whoever's token it shows", async () => {
    const { name, ask, change } = await aTenant();
    const watch = { type: 'registry', url: 'https://registry.example/v2/team/app' };
    const job = { type: 'preheat', args: { type: 'image', application: 'shop' } };
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', { name, kind: 'push', watch, job }));
    const made = await manager.request('POST', '/api/v1/personal-access-tokens', {
      name: `of-root-${name}`,
      scopes: ['job'],
      expired_at: '2037-01-01T00:00:00Z',
      user_id: 1,
    });
    await change({ scheduler_cluster_ids: [] });
    const push = {
      type: 'PUSH_ARTIFACT',
      event_data: { resources: [{ tag: 'v1' }], repository: { repo_full_name: 'team/app' } },
    };
    const authorization = `Bearer ${(made.body as { token: string }).token}`;
    const message = `scheduler_cluster_ids: 1 not (or no longer) of the tenant ${name}`;
    expect(
      await manager.anonymously().request('POST', `/oapi/v1/jobs/hooks/${name}`, push, { authorization }),
    ).toMatchObject({ status: 403, body: { message } });
    expect(await triggerOf(id)).toMatchObject({ last_error: message, last_job_id: 0 });
  });

  it('a running job is ended at its schedulers, with the reason, and its webhook hears nothing of the cluster', async () => {
    const { name, ask, change } = await aTenant();
    scheduler.play = (_run, stream) => new Promise<void>((resolve) => stream.onCancel(resolve));
    const id = idOf(await ask('POST', '/api/v1/jobs', { ...FILE, webhook: { url: url('/hook') } }));
    await waitFor(() => scheduler.runs.length === 1, { what: 'the run' });
    asked.length = 0;
    await change({ scheduler_cluster_ids: [] });
    const ended = await endOf(manager, id);
    const reason = `scheduler_cluster_ids: 1 not (or no longer) of the tenant ${name}`;
    expect(ended).toMatchObject({ state: 'FAILURE', result: { error: reason } });
    expect(scheduler.cancelled).toHaveLength(1);
    expect(await auditOf(`/api/v1/jobs/${id}`)).toMatchObject([{ detail: { reason } }]);
    const delivery = (): Promise<WebhookDeliveryEntity | null> =>
      manager.app.get(Database).transaction((rows) => rows.findOneBy(WebhookDeliveryEntity, { jobId: id }));
    await waitFor(async () => (await delivery())?.state === 'FAILURE', { what: 'the message to be given up' });
    expect(await delivery()).toMatchObject({ error: reason });
    expect(asked).toEqual([]);
  });

  it('an account that is taken out of its tenant does not become one that sees everything', async () => {
    const { name, userId, tenantId, ask } = await aTenant();
    const trigger = { name, kind: 'schedule', cron: '0 2 29 2 *', job: FILE };
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', trigger));
    const token = { name: `of-${name}`, scopes: ['job'], expired_at: '2037-01-01T00:00:00Z', user_id: userId };
    const made = await ask('POST', '/api/v1/personal-access-tokens', token);
    const authorization = `Bearer ${(made.body as { token: string }).token}`;
    const withToken = (): Promise<Answer> =>
      manager.anonymously().request('GET', '/oapi/v1/jobs', undefined, { authorization });
    expect(await withToken()).toMatchObject({ status: 200 });
    await manager.request('DELETE', `/api/v1/tenants/${tenantId}/users/${userId}`);
    expect(await ask('GET', '/api/v1/clusters')).toMatchObject({ status: 401, body: { message: 'permission deny' } });
    expect(await withToken()).toMatchObject({ status: 403, body: { message: 'Token is inactive' } });
    expect(await triggerOf(id)).toMatchObject({
      state: 'suspended',
      state_reason: `the account ${userId} is not (or no longer) of any tenant, and has no role for jobs`,
    });
  });

  it('a job that nobody has begun yet is refused when its turn comes', async () => {
    const { name, ask, change } = await aTenant();
    scheduler.play = (run, stream) => {
      if (run.job?.$case !== 'preheat') return Promise.resolve();
      return new Promise<void>((resolve) => stream.onCancel(resolve));
    };
    const first = idOf(await ask('POST', '/api/v1/jobs', FILE));
    await waitFor(() => scheduler.runs.length === 1, { what: 'the run' });
    await ask('POST', `/api/v1/jobs/${first}/cancel`);
    await endOf(manager, first);
    await change({ scheduler_cluster_ids: [] });
    expect(await manager.request('POST', `/api/v1/jobs/${first}/retry`)).toMatchObject({ status: 200 });
    expect(await endOf(manager, first)).toMatchObject({
      state: 'FAILURE',
      result: { error: `scheduler_cluster_ids: 1 not (or no longer) of the tenant ${name}` },
    });
    expect(scheduler.runs).toHaveLength(1);
  });
});
