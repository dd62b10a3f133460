import { engines, stopEngines } from './engines.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

const config = { scheduler_cluster_config: {}, seed_peer_cluster_config: {}, peer_cluster_config: {} };
const notFound = { status: 404, body: { message: 'record not found' } };

/** A member of a tenant with the role root. */
interface Member {
  id: number;
  tenantId: number;
  ask(method: string, path: string, body?: unknown): Promise<Answer>;
}

describe.each(engines)('tenants on $name (seed 002-14, 002-28)', ({ freshDatabase }) => {
  let manager: RunningManager;
  let blue: Member;
  let green: Member;

  async function aMember(name: string, tenant: object): Promise<Member> {
    const account = { name, password: 'secret-pw', email: `${name}@example.com` };
    const { id } = (await manager.request('POST', '/api/v1/users/signup', account)).body as { id: number };
    await manager.request('PUT', `/api/v1/users/${id}/roles/root`);
    const { body } = await manager.request('POST', '/api/v1/tenants', { name: `tenant-${name}`, ...tenant });
    const tenantId = (body as { id: number }).id;
    await manager.request('PUT', `/api/v1/tenants/${tenantId}/users/${id}`);
    const signedIn = await manager.anonymously().request('POST', '/api/v1/users/signin', account);
    const headers = { authorization: `Bearer ${(signedIn.body as { token: string }).token}` };
    return {
      id,
      tenantId,
      ask: (method, path, content) => manager.anonymously().request(method, path, content, headers),
    };
  }
  const idOf = (answer: Answer): number => (answer.body as { id: number }).id;
  const names = (answer: Answer): string[] => (answer.body as { name: string }[]).map(({ name }) => name);

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
    blue = await aMember('blue', { limits: { clusters: 1, applications: 1, personal_access_tokens: 2 } });
    green = await aMember('green', { applications: ['green-app'], limits: { requests_per_second: 1_000 } });
  });
  afterAll(() => manager.stop());

  it('see and touch their own clusters and what is in them, and nothing of another', async () => {
    const created = await blue.ask('POST', '/api/v1/clusters', { name: 'blue-1', ...config });
    expect(created.status).toBe(200);
    const id = idOf(created);
    const { seed_peer_cluster_id: seedId } = created.body as { seed_peer_cluster_id: number };
    const scheduler = { host_name: 's', ip: '10.0.0.1', port: 8002, scheduler_cluster_id: id };
    const schedulerId = idOf(await blue.ask('POST', '/api/v1/schedulers', scheduler));
    const peer = { ...scheduler, type: 'normal', download_port: 1, proxy_port: 1 };
    const peerId = idOf(await blue.ask('POST', '/api/v1/peers', peer));

    expect(names(await blue.ask('GET', '/api/v1/clusters'))).toEqual(['blue-1']);
    expect(names(await green.ask('GET', '/api/v1/clusters'))).toEqual([]);
    expect(names(await manager.request('GET', '/api/v1/clusters'))).toEqual(['cluster-1', 'blue-1']);
    const mine = [
      `/api/v1/clusters/${id}`,
      `/api/v1/scheduler-clusters/${id}`,
      `/api/v1/seed-peer-clusters/${seedId}`,
      `/api/v1/schedulers/${schedulerId}`,
      `/api/v1/peers/${peerId}`,
    ];
    for (const path of mine) {
      expect(await blue.ask('GET', path)).toMatchObject({ status: 200 });
      expect(await green.ask('GET', path)).toMatchObject(notFound);
      const list = path.replace(/\/\d+$/, '');
      expect((await blue.ask('GET', list)).body).toHaveLength(1);
      expect((await green.ask('GET', list)).body).toEqual([]);
    }
    expect((await green.ask('GET', `/api/v1/peers?scheduler_cluster_id=${id}`)).body).toEqual([]);
    for (const path of [`/api/v1/clusters/${id}`, `/api/v1/schedulers/${schedulerId}`]) {
      expect(await green.ask('PATCH', path, { bio: 'x' })).toMatchObject(notFound);
      expect(await green.ask('DELETE', path)).toMatchObject(notFound);
    }
    expect(await green.ask('DELETE', `/api/v1/peers/${peerId}`)).toMatchObject(notFound);
    expect(await green.ask('POST', '/api/v1/schedulers', { ...scheduler, ip: '10.0.0.2' })).toMatchObject(notFound);
    expect(await blue.ask('PATCH', `/api/v1/schedulers/${schedulerId}`, { scheduler_cluster_id: 1 })).toMatchObject(
      notFound,
    );
    expect(await blue.ask('PATCH', `/api/v1/clusters/${id}`, { bio: 'mine' })).toMatchObject({ status: 200 });

    expect(await blue.ask('POST', '/api/v1/clusters', { name: 'blue-2', ...config })).toMatchObject({
      status: 429,
      body: { message: 'quota of tenant tenant-blue exceeded: 1 clusters' },
    });
    await blue.ask('DELETE', `/api/v1/peers/${peerId}`);
    await blue.ask('DELETE', `/api/v1/schedulers/${schedulerId}`);
    expect(await blue.ask('DELETE', `/api/v1/clusters/${id}`)).toMatchObject({ status: 200 });
    expect(await blue.ask('GET', `/api/v1/tenants/${blue.tenantId}`)).toMatchObject({
      body: { scheduler_cluster_ids: [] },
    });
  });

  it('do not change seed peers that also serve clusters of others', async () => {
    const { id: clusterId } = (await manager.request('POST', '/api/v1/clusters', { name: 'shared', ...config }))
      .body as { id: number };
    await manager.request('PATCH', `/api/v1/scheduler-clusters/${clusterId}`, { seed_peer_cluster_id: 1 });
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { scheduler_cluster_ids: [clusterId] });
    expect(await green.ask('PATCH', `/api/v1/clusters/${clusterId}`, { bio: 'x' })).toMatchObject({ status: 403 });
    const seen = (await green.ask('GET', '/api/v1/seed-peer-clusters/1')).body as { scheduler_clusters: object[] };
    expect(seen.scheduler_clusters).toMatchObject([{ id: clusterId }]);
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { scheduler_cluster_ids: [] });
  });

  it('see their own applications, users and tokens only', async () => {
    const application = { name: 'blue-app', url: 'u', priority: { value: 1 }, user_id: blue.id };
    const created = await blue.ask('POST', '/api/v1/applications', application);
    expect(created.status).toBe(200);
    expect(await blue.ask('POST', '/api/v1/applications', { ...application, name: 'second' })).toMatchObject({
      status: 429,
    });
    const path = `/api/v1/applications/${idOf(created)}`;
    expect(names(await blue.ask('GET', '/api/v1/applications'))).toEqual(['blue-app']);
    expect(names(await green.ask('GET', '/api/v1/applications'))).toEqual([]);
    expect((await green.ask('GET', '/api/v1/applications?name=blue-app')).body).toEqual([]);
    expect(await green.ask('GET', path)).toMatchObject(notFound);
    expect(await green.ask('PATCH', path, { user_id: green.id })).toMatchObject(notFound);
    expect(await green.ask('DELETE', path)).toMatchObject(notFound);

    expect(names(await blue.ask('GET', '/api/v1/users'))).toEqual(['blue']);
    expect(await blue.ask('GET', `/api/v1/users/${green.id}`)).toMatchObject(notFound);
    expect(await blue.ask('PATCH', `/api/v1/users/${green.id}`, { state: 'disable' })).toMatchObject(notFound);
    expect(await blue.ask('DELETE', `/api/v1/users/${green.id}/roles/root`)).toMatchObject(notFound);

    const token = { name: 'blue-token', expired_at: '2030-01-01T00:00:00Z', user_id: blue.id };
    const made = await blue.ask('POST', '/api/v1/personal-access-tokens', token);
    expect(made.status).toBe(200);
    expect(await blue.ask('POST', '/api/v1/personal-access-tokens', { ...token, user_id: 1 })).toMatchObject(notFound);
    expect(
      await blue.ask('POST', '/api/v1/personal-access-tokens', { ...token, scheduler_cluster_ids: [1] }),
    ).toMatchObject(notFound);
    expect((await green.ask('GET', '/api/v1/personal-access-tokens')).body).toEqual([]);
    expect(await green.ask('DELETE', `/api/v1/personal-access-tokens/${idOf(made)}`)).toMatchObject(notFound);
    const clear = (made.body as { token: string }).token;
    const withToken = (): Promise<Answer> =>
      manager.anonymously().request('GET', '/oapi/v1/clusters', undefined, { authorization: `Bearer ${clear}` });
    expect(await withToken()).toMatchObject({ status: 200, body: [] });
    expect(await blue.ask('GET', `/api/v1/tenants/${green.tenantId}`)).toMatchObject(notFound);
    expect(names(await blue.ask('GET', '/api/v1/tenants'))).toEqual(['tenant-blue']);
  });

  it('cannot name clusters or applications of another in a job', async () => {
    await manager.request('PATCH', `/api/v1/tenants/${blue.tenantId}`, { scheduler_cluster_ids: [] });
    for (const ids of [[1], [], undefined]) {
      const job = { type: 'preheat', args: { type: 'file', url: 'http://origin.test/x' }, scheduler_cluster_ids: ids };
      expect(await blue.ask('POST', '/api/v1/jobs', job)).toMatchObject(notFound);
    }
    expect(await blue.ask('POST', '/api/v1/jobs', { type: 'gc', args: { type: 'job' } })).toMatchObject({
      status: 403,
    });
  });

  it('reach no farther with a token than the token says', async () => {
    const { token } = (
      await manager.request('POST', '/api/v1/personal-access-tokens', {
        name: 'one cluster',
        expired_at: '2030-01-01T00:00:00Z',
        user_id: 1,
        scheduler_cluster_ids: [1],
      })
    ).body as { token: string };
    const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
      manager.anonymously().request(method, path, body, { authorization: `Bearer ${token}` });
    expect(names(await ask('GET', '/oapi/v1/clusters'))).toEqual(['cluster-1']);
    const other = idOf(await manager.request('POST', '/api/v1/clusters', { name: 'other', ...config }));
    expect(await ask('GET', `/oapi/v1/clusters/${other}`)).toMatchObject(notFound);
    expect(await ask('DELETE', `/oapi/v1/clusters/${other}`)).toMatchObject(notFound);
  });

  it('are refused above their rate, with the time to wait, and nobody else is', async () => {
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { limits: { requests_per_second: 3 } });
    const answers = await Promise.all(Array.from({ length: 12 }, () => green.ask('GET', '/api/v1/clusters')));
    const refused = answers.filter(({ status }) => status === 429);
    // At most two windows of a second have been touched.
    expect(refused.length).toBeGreaterThanOrEqual(6);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    expect((await manager.request('GET', '/api/v1/clusters')).status).toBe(200);
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { limits: {} });
  });

  it('are locked out when they are disabled, and let in again', async () => {
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { state: 'disable' });
    expect((await green.ask('GET', '/api/v1/clusters')).status).toBe(401);
    await manager.request('PATCH', `/api/v1/tenants/${green.tenantId}`, { state: 'enable' });
    expect((await green.ask('GET', '/api/v1/clusters')).status).toBe(200);
  });

  it('keep people who sign up by themselves from seeing everything', async () => {
    const account = { name: 'stranger', password: 'secret-pw', email: 's@example.com' };
    await manager.anonymously().request('POST', '/api/v1/users/signup', account);
    const { token } = (await manager.anonymously().request('POST', '/api/v1/users/signin', account)).body as {
      token: string;
    };
    const headers = { authorization: `Bearer ${token}` };
    expect(await manager.anonymously().request('GET', '/api/v1/clusters', undefined, headers)).toMatchObject({
      status: 401,
      body: { message: 'permission deny' },
    });
  });
});
