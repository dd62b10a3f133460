import { JobRows } from '../src/jobs/job-rows.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

const notFound = { status: 404, body: { message: 'record not found' } };
const clusterConfig = { scheduler_cluster_config: {}, seed_peer_cluster_config: {}, peer_cluster_config: {} };
const idOf = ({ body }: Answer): number => (body as { id: number }).id;
const idsOf = ({ body }: Answer): number[] => (body as { id: number }[]).map(({ id }) => id);

describe.each(engines)('what limited callers reach on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let second: number;

  type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>;
  const askWith =
    (token: string): Ask =>
    (method, path, body) =>
      manager.anonymously().request(method, path, body, { authorization: `Bearer ${token}` });

  async function aMember(name: string, tenant: object): Promise<{ id: number; tenantId: number; ask: Ask }> {
    const account = { name, password: 'secret-pw', email: `${name}@example.com` };
    const id = idOf(await manager.request('POST', '/api/v1/users/signup', account));
    await manager.request('PUT', `/api/v1/users/${id}/roles/root`);
    const tenantId = idOf(await manager.request('POST', '/api/v1/tenants', { name: `tenant-${name}`, ...tenant }));
    await manager.request('PUT', `/api/v1/tenants/${tenantId}/users/${id}`);
    const { body } = await manager.anonymously().request('POST', '/api/v1/users/signin', account);
    return { id, tenantId, ask: askWith((body as { token: string }).token) };
  }

  async function aToken(limits: object): Promise<Ask> {
    const { body } = await manager.request('POST', '/api/v1/personal-access-tokens', {
      name: `t-${Math.random()}`,
      expired_at: '2030-01-01T00:00:00Z',
      user_id: 1,
      ...limits,
    });
    return askWith((body as { token: string }).token);
  }

  /** A failed job of the account, as if it had been made through the API. */
  async function aJob(userId: number, clusterIds: number[], application = ''): Promise<number> {
    const args = { type: 'file', url: 'http://origin.test/x', application };
    const rows = manager.app.get(JobRows);
    const { job } = await rows.insert({
      taskId: `group_${Math.random()}`,
      bio: '',
      type: 'preheat',
      args,
      userId,
      clusterIds,
      secrets: null,
      plan: { clusterIds },
      webhook: {},
      triggerId: undefined,
    });
    return job.id;
  }

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
    second = idOf(await manager.request('POST', '/api/v1/clusters', { name: 'second', ...clusterConfig }));
  });
  afterAll(() => manager.stop());

  it('a tenant makes nobody else the owner of a job or a trigger', async () => {
    const red = await aMember('red', { scheduler_cluster_ids: [1], applications: ['*'] });
    const own = await aJob(red.id, [1]);
    const args = { type: 'file', url: 'http://origin.test/x' };
    expect(await red.ask('PATCH', `/api/v1/jobs/${own}`, { user_id: 1 })).toMatchObject(notFound);
    expect(await red.ask('PATCH', `/api/v1/jobs/${own}`, { user_id: red.id, bio: 'mine' })).toMatchObject({
      body: { user_id: red.id, bio: 'mine' },
    });
    for (const [type, given] of Object.entries({ preheat: args, get_task: { url: args.url } })) {
      const job = { type, args: given, user_id: 1 };
      expect(await red.ask('POST', '/api/v1/jobs', job)).toMatchObject(notFound);
    }
    const trigger = { name: 'red', kind: 'schedule', cron: '0 2 * * *', job: { type: 'preheat', args } };
    expect(await red.ask('POST', '/api/v1/jobs/triggers', { ...trigger, user_id: 1 })).toMatchObject(notFound);
    expect(await red.ask('POST', '/api/v1/jobs/triggers', { ...trigger, user_id: red.id })).toMatchObject({
      status: 200,
      body: { user_id: red.id },
    });
  });

  it('a cluster that was taken from a tenant takes its jobs along', async () => {
    const pink = await aMember('pink', { scheduler_cluster_ids: [1, second], applications: ['*'] });
    const job = await aJob(pink.id, [second]);
    expect(await pink.ask('GET', `/api/v1/jobs/${job}`)).toMatchObject({ status: 200 });
    await manager.request('PATCH', `/api/v1/tenants/${pink.tenantId}`, { scheduler_cluster_ids: [1] });
    expect(await pink.ask('POST', `/api/v1/jobs/${job}/retry`)).toMatchObject(notFound);
    expect(idsOf(await pink.ask('GET', '/api/v1/jobs'))).toEqual([]);
  });

  it('a token for one cluster sees and touches jobs and triggers of that cluster only', async () => {
    const inFirst = await aJob(1, [1]);
    const inBoth = await aJob(1, [1, second]);
    const inSecond = await aJob(1, [second]);
    const ask = await aToken({ scheduler_cluster_ids: [1] });
    const seen = idsOf(await ask('GET', '/oapi/v1/jobs?per_page=100'));
    expect(seen).toContain(inFirst);
    expect(seen).not.toContain(inBoth);
    expect(seen).not.toContain(inSecond);
    for (const id of [inBoth, inSecond]) {
      for (const [method, path] of [
        ['GET', `/oapi/v1/jobs/${id}`],
        ['GET', `/preheats/${id}`],
        ['PATCH', `/oapi/v1/jobs/${id}`],
        ['POST', `/oapi/v1/jobs/${id}/cancel`],
        ['POST', `/oapi/v1/jobs/${id}/retry`],
        ['DELETE', `/oapi/v1/jobs/${id}`],
      ] as const) {
        expect([path, await ask(method, path)]).toMatchObject([path, notFound]);
      }
    }
    const job = { type: 'preheat', args: { type: 'file', url: 'http://origin.test/x' } };
    const trigger = (name: string, ids: number[]): Promise<Answer> =>
      manager.request('POST', '/api/v1/jobs/triggers', {
        name,
        kind: 'schedule',
        cron: '0 2 * * *',
        job: { ...job, scheduler_cluster_ids: ids },
      });
    const first = idOf(await trigger('first only', [1]));
    const every = idOf(await trigger('every cluster', []));
    expect(idsOf(await ask('GET', '/oapi/v1/jobs/triggers?per_page=100'))).toContain(first);
    expect(idsOf(await ask('GET', '/oapi/v1/jobs/triggers?per_page=100'))).not.toContain(every);
    expect(await ask('POST', `/oapi/v1/jobs/triggers/${every}/run`)).toMatchObject(notFound);
    expect(await ask('DELETE', `/oapi/v1/jobs/triggers/${every}`)).toMatchObject(notFound);
    expect(await ask('POST', '/oapi/v1/jobs', { type: 'gc', args: { type: 'job' } })).toMatchObject({ status: 403 });
  });

  it('a token for one application sees and touches jobs of that application only', async () => {
    const mine = await aJob(1, [1], 'shop');
    const others = [await aJob(1, [1], 'bank'), await aJob(1, [1])];
    const ask = await aToken({ applications: ['shop'] });
    expect(idsOf(await ask('GET', '/oapi/v1/jobs?per_page=100'))).toEqual([mine]);
    for (const id of others) {
      expect(await ask('GET', `/oapi/v1/jobs/${id}`)).toMatchObject(notFound);
      expect(await ask('DELETE', `/oapi/v1/jobs/${id}`)).toMatchObject(notFound);
    }
  });

  it('a tenant cannot take the name of an application that another was promised', async () => {
    await manager.request('POST', '/api/v1/tenants', { name: 'promised', applications: ['search'] });
    const grey = await aMember('grey', { applications: ['grey-app'] });
    const application = { name: 'search', url: 'http://x', priority: { value: 1 }, user_id: grey.id };
    expect(await grey.ask('POST', '/api/v1/applications', application)).toMatchObject({ status: 409 });
    expect(await grey.ask('POST', '/api/v1/applications', { ...application, name: 'fresh' })).toMatchObject({
      status: 200,
    });
  });

  it('a job of an application that is not of the caller is refused with the ones that are', async () => {
    const lime = await aMember('lime', { scheduler_cluster_ids: [1], applications: ['fruit', 'veg'] });
    const preheat = (application?: string): Promise<Answer> =>
      lime.ask('POST', '/api/v1/jobs', {
        type: 'preheat',
        args: { type: 'file', url: 'http://origin.test/x', application },
      });
    for (const application of [undefined, 'bank']) {
      expect(await preheat(application)).toMatchObject({
        status: 403,
        body: { message: 'args.application: must be one of fruit, veg' },
      });
    }
    // Nobody is there to do it, but it is allowed.
    expect(await preheat('veg')).toMatchObject({ body: { message: 'candidate schedulers not found' } });
  });
});
