import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@dragonfly/testkit';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { endOf, managerWith } from './job-setup.js';
import type { Answer, RunningManager } from './running-manager.js';

afterAll(stopEngines);

const FILE = { type: 'preheat', args: { type: 'file', url: 'http://origin.example/model' } };
const IMAGE = { type: 'preheat', args: { type: 'image' } };

interface Trigger {
  id: number;
  last_error: string;
  last_job_id: number;
}

/** Every way to a job counts for the tenant that it belongs to; each test has a tenant of its own. */
describe.each(engines)("jobs that begin in a tenant's name, on $name (seed 002-28)", ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;
  let tenants = 0;

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    manager = await managerWith(scheduler, await freshDatabase());
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
  });
  beforeEach(() => scheduler.forget());

  /** A tenant with one member, its session and its token. */
  async function aTenant(limits: object): Promise<{
    name: string;
    userId: number;
    tenantId: number;
    ask(method: string, path: string, body?: unknown): Promise<Answer>;
    withToken(method: string, path: string, body?: unknown): Promise<Answer>;
  }> {
    tenants += 1;
    const account = { name: `member-${tenants}`, password: 'secret-pw', email: `m${tenants}@example.com` };
    const { id: userId } = (await manager.request('POST', '/api/v1/users/signup', account)).body as { id: number };
    await manager.request('PUT', `/api/v1/users/${userId}/roles/root`);
    const name = `tenant-${tenants}`;
    const tenant = { name, limits, scheduler_cluster_ids: [1], applications: ['*'] };
    const { id: tenantId } = (await manager.request('POST', '/api/v1/tenants', tenant)).body as { id: number };
    await manager.request('PUT', `/api/v1/tenants/${tenantId}/users/${userId}`);
    const signedIn = await manager.anonymously().request('POST', '/api/v1/users/signin', account);
    const session = { authorization: `Bearer ${(signedIn.body as { token: string }).token}` };
    const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
      manager.anonymously().request(method, path, body, session);
    const made = await ask('POST', '/api/v1/personal-access-tokens', {
      name: `token-${tenants}`,
      scopes: ['job'],
      expired_at: '2037-01-01T00:00:00Z',
      user_id: userId,
    });
    const token = { authorization: `Bearer ${(made.body as { token: string }).token}` };
    const withToken = (method: string, path: string, body?: unknown): Promise<Answer> =>
      manager.anonymously().request(method, path, body, token);
    return { name, userId, tenantId, ask, withToken };
  }
  const idOf = ({ body }: Answer): number => (body as { id: number }).id;
  const refusalOf = (name: string, limit: string): object => ({
    status: 429,
    body: { message: `rate limit of tenant ${name} exceeded: ${limit}` },
  });
  const nightly = { name: 'nightly', kind: 'schedule', cron: '0 2 29 2 *', job: FILE };

  it('a trigger that is fired beyond the rate is refused with 429, and its row tells why', async () => {
    const { name, ask } = await aTenant({ jobs_per_minute: 2 });
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', { ...nightly, name }));
    const fire = (): Promise<Answer> => ask('POST', `/api/v1/jobs/triggers/${id}/run`);
    const answers = [await fire(), await fire(), await fire(), await fire(), await fire()];
    // At most two windows of a minute have been touched.
    const refused = answers.filter(({ status }) => status === 429);
    expect([1, 3]).toContain(refused.length);
    expect(refused[0]).toMatchObject(refusalOf(name, '2 jobs per minute'));
    expect(refused[0]?.headers.get('retry-after')).toBe('60');
    const row = (await ask('GET', `/api/v1/jobs/triggers/${id}`)).body as Trigger;
    expect(row.last_error).toBe(`rate limit of tenant ${name} exceeded: 2 jobs per minute`);
    await waitFor(() => scheduler.runs.length === answers.length - refused.length, { what: 'the runs that may be' });
  });

  it('a schedule whose time comes is refused as well, and tells it; it goes on when there is room', async () => {
    const { name, tenantId, ask } = await aTenant({ running_jobs: 1 });
    scheduler.play = (_run, stream) => new Promise<void>((resolve) => stream.onCancel(resolve));
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', { ...nightly, name, cron: '* * * * * *' }));
    const rowOf = async (): Promise<Trigger> => (await ask('GET', `/api/v1/jobs/triggers/${id}`)).body as Trigger;
    await waitFor(async () => (await rowOf()).last_error !== '', { what: 'the refusal of the schedule' });
    const refused = await rowOf();
    expect(refused.last_error).toBe(`quota of tenant ${name} exceeded: 1 running_jobs`);
    await manager.request('PATCH', `/api/v1/tenants/${tenantId}`, { limits: {} });
    await waitFor(async () => (await rowOf()).last_job_id !== refused.last_job_id, { what: 'the next job' });
    expect(await rowOf()).toMatchObject({ last_error: '' });
    await ask('DELETE', `/api/v1/jobs/triggers/${id}`);
  });

  it('a schedule of a tenant that is disabled begins nothing', async () => {
    const { name, userId, tenantId, ask } = await aTenant({});
    const id = idOf(await ask('POST', '/api/v1/jobs/triggers', { ...nightly, name }));
    await manager.request('PATCH', `/api/v1/tenants/${tenantId}`, { state: 'disable' });
    expect(await manager.request('POST', `/api/v1/jobs/triggers/${id}/run`)).toMatchObject({
      status: 200,
      body: { last_error: `the account ${userId} is gone or disabled`, last_job_id: 0 },
    });
  });

  describe('a watch', () => {
    let origin: Server;
    const files = ['there-before'];

    beforeAll(async () => {
      origin = createServer((request, response) => {
        const links = files.map((file) => `<a href="${file}">${file}</a>`).join('');
        const body =
          request.url === '/data/' ? `<html><title>Index of /data/</title><body>${links}</body></html>` : 'x';
        response.writeHead(200, { 'content-type': 'text/html', etag: '"1"' }).end(body);
      });
      await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => origin.close());

    it('begins what there is room for, and finds the rest again at the next look', async () => {
      const { name, tenantId, ask } = await aTenant({ jobs_per_minute: 1 });
      const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/data/`;
      const id = idOf(
        await ask('POST', '/api/v1/jobs/triggers', {
          name,
          kind: 'watch',
          interval_seconds: 86_400,
          watch: { type: 'object', url },
          job: { type: 'preheat', args: { type: 'file' } },
        }),
      );
      const look = (): Promise<Answer> => ask('POST', `/api/v1/jobs/triggers/${id}/run`);
      expect(await look()).toMatchObject({ status: 200, body: { last_error: '' } });
      files.push('a', 'b', 'c');
      expect(await look()).toMatchObject(refusalOf(name, '1 jobs per minute'));
      await manager.request('PATCH', `/api/v1/tenants/${tenantId}`, { limits: {} });
      expect(await look()).toMatchObject({ status: 200, body: { last_error: '' } });
      const preheated = (): string[] =>
        scheduler.runs.flatMap(({ job }) =>
          job?.$case === 'preheat' ? job.value.downloads.map((download) => download.url ?? '') : [],
        );
      await waitFor(() => preheated().length === 3, { what: 'a preheat of each file' });
      expect(preheated().sort()).toEqual(['a', 'b', 'c'].map((file) => `${url}${file}`));
    });
  });

  it("a registry's notification and Harbor's preheat are refused with 429 and the time to wait", async () => {
    const { name, ask, withToken } = await aTenant({ running_jobs: 1 });
    scheduler.play = (_run, stream) => new Promise<void>((resolve) => stream.onCancel(resolve));
    const watch = { type: 'registry', url: 'https://registry.example/v2/team/app' };
    expect(await ask('POST', '/api/v1/jobs/triggers', { name, kind: 'push', watch, job: IMAGE })).toMatchObject({
      status: 200,
    });
    const push = {
      type: 'PUSH_ARTIFACT',
      event_data: { resources: [{ tag: 'v1' }], repository: { repo_full_name: 'team/app' } },
    };
    const notify = (): Promise<Answer> => withToken('POST', `/oapi/v1/jobs/hooks/${name}`, push);
    const running = await withToken('POST', '/oapi/v1/jobs', { ...FILE, scheduler_cluster_ids: [1] });
    expect(running.status).toBe(200);
    const jobId = idOf(running);
    const refusal = { status: 429, body: { message: `quota of tenant ${name} exceeded: 1 running_jobs` } };
    expect(await notify()).toMatchObject(refusal);
    const preheat = { type: 'file', url: 'http://origin.example/x', extra_attrs: { cluster_ids: [1] } };
    expect(await withToken('POST', '/preheats', preheat)).toMatchObject(refusal);
    expect(await withToken('POST', '/oapi/v1/jobs', { ...FILE, scheduler_cluster_ids: [1] })).toMatchObject(refusal);
    expect(await ask('POST', `/api/v1/jobs/${jobId}/cancel`)).toMatchObject({ status: 200 });
    await endOf(manager, jobId);
    scheduler.play = async (run, stream) => succeed(run, stream);
    expect(await withToken('POST', '/preheats', preheat)).toMatchObject({ status: 200 });
  });

  it('nobody lets another account pay: a job and a trigger belong to accounts of the tenant', async () => {
    const { name, ask } = await aTenant({});
    const notFound = { status: 404, body: { message: 'record not found' } };
    expect(await ask('POST', '/api/v1/jobs', { ...FILE, user_id: 1 })).toMatchObject(notFound);
    expect(await ask('POST', '/api/v1/jobs/triggers', { ...nightly, name, user_id: 1 })).toMatchObject(notFound);
    const id = idOf(await ask('POST', '/api/v1/jobs', FILE));
    expect(await ask('PATCH', `/api/v1/jobs/${id}`, { user_id: 1 })).toMatchObject(notFound);
  });
});
