import { Database, insertRow, PersonalAccessTokenEntity, SeedPeerEntity, UserEntity } from '@dragonfly/persistence';
import { AccessCache } from '../src/auth/access-directory.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

const CLUSTER = {
  name: 'cluster-2',
  bio: 'second',
  scopes: { idc: 'idc-1', cidrs: ['10.0.0.0/8'] },
  scheduler_cluster_config: { candidate_parent_limit: 5 },
  seed_peer_cluster_config: { load_limit: 300, block_list: { task: { download: { tags: ['x'] } } } },
  peer_cluster_config: { load_limit: 51 },
};
const NO_BLOCKS = { task: null, persistent_task: null, persistent_cache_task: null };

describe.each(engines)('REST API on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  const request = (method: string, path: string, body?: unknown): Promise<Answer> =>
    manager.request(method, path, body);

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
  });
  afterAll(() => manager.stop());
  beforeEach(() => manager.signIn());

  describe('sessions', () => {
    it('signs root in with a token, a cookie that scripts can read, and a warning about the initial password', async () => {
      const { status, headers, body } = await manager.signIn();
      expect(status).toBe(200);
      const { token, expire } = body as { token: string; expire: string };
      expect(expire).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(headers.get('set-cookie')).toBe(`jwt=${token}; Max-Age=1209600; Path=/; SameSite=Lax`);
      expect(headers.get('warning')).toContain('initial password');
    });

    it.each([
      ['a wrong password', { name: 'root', password: 'dragonfly2' }],
      ['an unknown name', { name: 'nobody', password: 'dragonfly' }],
      ['a password that is too short', { name: 'root', password: 'x' }],
      ['nothing', undefined],
      ['something else than an object', [1]],
    ])('answers %s with the same 401', async (_name, credentials) => {
      manager.signOut();
      const { status, headers, body } = await request('POST', '/api/v1/users/signin', credentials);
      expect(status).toBe(401);
      expect(body).toEqual({ message: 'Unauthorized' });
      expect(headers.get('www-authenticate')).toBe('JWT realm=Dragonfly');
    });

    it('takes the token from the cookie, the bearer or the query, and from nowhere else', async () => {
      const { token } = (await manager.signIn()).body as { token: string };
      manager.signOut();
      const read = (path: string, headers: Record<string, string>): Promise<Answer> =>
        manager.request('GET', `/api/v1/clusters${path}`, undefined, headers);
      expect((await read('', { cookie: `jwt=${token}` })).status).toBe(200);
      expect((await read('', { authorization: `bearer ${token}` })).status).toBe(200);
      expect((await read(`?token=${token}`, {})).status).toBe(200);
      expect((await read('', { 'x-token': token })).status).toBe(401);
      expect((await read('', { cookie: `jwt=${token}x` })).status).toBe(401);
    });

    it('renews a session, and ends one by taking the cookie away', async () => {
      const renewed = await request('POST', '/api/v1/users/refresh_token');
      expect(renewed).toMatchObject({ status: 200, body: { token: expect.any(String) } });
      const ended = await request('POST', '/api/v1/users/signout');
      expect(ended).toMatchObject({ status: 200, body: '' });
      expect(ended.headers.get('set-cookie')).toBe('jwt=; Max-Age=0; Path=/; SameSite=Lax');
      manager.signOut();
      expect(await request('POST', '/api/v1/users/refresh_token')).toMatchObject({ status: 401 });
    });

    it('changes the password of who knows the old one, without a session', async () => {
      manager.signOut();
      const path = '/api/v1/users/1/reset_password';
      const change = (from: string, to: string): Promise<Answer> =>
        request('POST', path, { old_password: from, new_password: to });
      expect(await change('wrong-one', 'new-secret')).toMatchObject({ status: 401, body: { message: 'Unauthorized' } });
      expect(await change('dragonfly', 'short')).toMatchObject({
        status: 422,
        body: {
          errors:
            "Key: 'ResetPasswordRequest.NewPassword' Error:Field validation for 'NewPassword' failed on the 'min' tag",
        },
      });
      expect(await change('dragonfly', 'new-secret')).toMatchObject({ status: 200, body: '' });
      expect((await manager.signIn('root', 'dragonfly')).status).toBe(401);
      const signedIn = await manager.signIn('root', 'new-secret');
      expect(signedIn.status).toBe(200);
      expect(signedIn.headers.get('warning')).toBeNull();
      expect(await change('new-secret', 'dragonfly')).toMatchObject({ status: 200 });
    });

    it('refuses accounts without a role, and forgets sessions of deleted accounts', async () => {
      const database = manager.app.get(Database);
      const { encryptedPassword } = await database.manager.findOneByOrFail(UserEntity, { name: 'root' });
      const id = await database.transaction((rows) =>
        insertRow(rows, UserEntity, new Date(), { name: 'plain', email: 'p@x', state: 'enable', encryptedPassword }),
      );
      await manager.signIn('plain');
      expect(await request('GET', '/api/v1/clusters')).toMatchObject({
        status: 401,
        body: { message: 'permission deny' },
      });
      await database.transaction((rows) => rows.delete(UserEntity, { id }));
      await manager.app.get(AccessCache).invalidate();
      expect(await request('GET', '/api/v1/clusters')).toMatchObject({
        status: 401,
        body: { message: 'Unauthorized' },
      });
    });

    it('takes a personal access token for clusters on /oapi, and only there', async () => {
      const database = manager.app.get(Database);
      await database.transaction((rows) =>
        insertRow(rows, PersonalAccessTokenEntity, new Date(), {
          name: 'automation',
          token: 'pat-1',
          scopes: ['cluster'],
          state: 'active',
          expiredAt: new Date(Date.now() + 3_600_000),
        }),
      );
      manager.signOut();
      const headers = { authorization: 'Bearer pat-1' };
      expect(await manager.request('GET', '/oapi/v1/clusters', undefined, headers)).toMatchObject({ status: 200 });
      expect(await request('GET', '/oapi/v1/clusters?access_token=pat-1')).toMatchObject({ status: 200 });
      expect(await manager.request('GET', '/api/v1/clusters', undefined, headers)).toMatchObject({ status: 401 });
      expect(await request('GET', '/oapi/v1/clusters')).toMatchObject({ status: 401 });
    });
  });

  describe('clusters', () => {
    it('shows the default cluster with all its parts (seed 001-4)', async () => {
      const { status, body } = await request('GET', '/api/v1/clusters/1');
      expect(status).toBe(200);
      expect(body).toEqual({
        id: 1,
        name: 'cluster-1',
        bio: '',
        scopes: { idc: '', location: '', cidrs: null, hostnames: null },
        scheduler_cluster_id: 1,
        seed_peer_cluster_id: 1,
        scheduler_cluster_config: { candidate_parent_limit: 3, filter_parent_limit: 15, job_rate_limit: 10 },
        seed_peer_cluster_config: { load_limit: 2000, block_list: NO_BLOCKS },
        peer_cluster_config: { load_limit: 200, block_list: NO_BLOCKS },
        created_at: expect.stringMatching(/Z$/) as string,
        updated_at: expect.stringMatching(/Z$/) as string,
        is_default: true,
      });
    });

    it('is created, changed in parts and deleted together with its seed peer cluster', async () => {
      const created = await request('POST', '/api/v1/clusters', CLUSTER);
      expect(created).toMatchObject({
        status: 200,
        body: { name: 'cluster-2', bio: 'second', is_default: false, peer_cluster_config: { load_limit: 51 } },
      });
      const { id, seed_peer_cluster_id: seedId } = created.body as { id: number; seed_peer_cluster_id: number };
      expect(await request('GET', `/api/v1/seed-peer-clusters/${seedId}`)).toMatchObject({
        body: { name: 'cluster-2', config: { load_limit: 300 }, scheduler_clusters: [{ id }] },
      });
      expect(await request('GET', `/api/v1/scheduler-clusters/${id}`)).toMatchObject({
        body: { seed_client_config: CLUSTER.seed_peer_cluster_config, seed_peer_clusters: [{ id: seedId }] },
      });

      const changed = await request('PATCH', `/api/v1/clusters/${id}`, {
        bio: '',
        is_default: true,
        scheduler_cluster_config: { filter_parent_limit: 40 },
      });
      expect(changed).toMatchObject({
        status: 200,
        body: {
          name: 'cluster-2',
          bio: '',
          is_default: true,
          scopes: { idc: 'idc-1', cidrs: ['10.0.0.0/8'] },
          scheduler_cluster_config: { candidate_parent_limit: 0, filter_parent_limit: 40 },
          peer_cluster_config: { load_limit: 51 },
        },
      });
      // Leaving it out keeps it.
      expect(await request('PATCH', `/api/v1/clusters/${id}`, { bio: 'x' })).toMatchObject({
        body: { is_default: true },
      });

      expect(await request('DELETE', `/api/v1/clusters/${id}`)).toMatchObject({ status: 200, body: '' });
      const gone = { status: 404, body: { message: 'record not found' } };
      expect(await request('GET', `/api/v1/clusters/${id}`)).toMatchObject(gone);
      expect(await request('GET', `/api/v1/seed-peer-clusters/${seedId}`)).toMatchObject(gone);
      expect(await request('DELETE', `/api/v1/clusters/${id}`)).toMatchObject(gone);
    });

    it('is refused twice under the same name, and nothing of the second stays', async () => {
      const { id } = (await request('POST', '/api/v1/clusters', CLUSTER)).body as { id: number };
      expect(await request('POST', '/api/v1/clusters', CLUSTER)).toMatchObject({
        status: 409,
        body: { message: 'Conflict' },
      });
      expect((await request('GET', '/api/v1/seed-peer-clusters?name=cluster-2')).body).toHaveLength(1);
      await request('DELETE', `/api/v1/clusters/${id}`);
    });

    it('names field and rule of each violation', async () => {
      const { status, body } = await request('POST', '/api/v1/clusters', {
        scheduler_cluster_config: { candidate_parent_limit: 21 },
        seed_peer_cluster_config: {},
      });
      expect(status).toBe(422);
      expect((body as { errors: string }).errors.split('\n')).toEqual([
        "Key: 'CreateClusterRequest.Name' Error:Field validation for 'Name' failed on the 'required' tag",
        "Key: 'CreateClusterRequest.SchedulerClusterConfig.CandidateParentLimit' Error:Field validation for 'CandidateParentLimit' failed on the 'lte' tag",
        "Key: 'CreateClusterRequest.PeerClusterConfig' Error:Field validation for 'PeerClusterConfig' failed on the 'required' tag",
      ]);
    });

    it.each([
      ['no JSON', 'POST', '/api/v1/clusters', '{', /no JSON/],
      ['no object', 'POST', '/api/v1/clusters', '[1]', /CreateClusterRequest/],
      ['an id that is no number', 'GET', '/api/v1/clusters/abc', undefined, /ParseUint: parsing "abc"/],
      ['a page below 1', 'GET', '/api/v1/clusters?page=-1', undefined, /'GetClustersQuery.Page'.*'gte'/],
      ['a page that is no number', 'GET', '/api/v1/clusters?page=x', undefined, /parsing "x"/],
      ['too many rows a page', 'GET', '/api/v1/clusters?per_page=10000001', undefined, /'PerPage'.*'lte'/],
      ['a name longer than its column', 'POST', '/api/v1/clusters', { name: 'n'.repeat(257) }, /'Name'.*'max'/],
      ['a port below 1', 'PATCH', '/api/v1/schedulers/1', { port: -5 }, /'UpdateSchedulerRequest.Port'.*'gte'/],
      ['a port above 65535', 'PATCH', '/api/v1/seed-peers/1', { download_port: 65_536 }, /'DownloadPort'.*'lte'/],
    ])('answers %s with 422', async (_name, method, path, body, text) => {
      const answer = await request(method, path, body);
      expect(answer.status).toBe(422);
      expect((answer.body as { errors: string }).errors).toMatch(text);
    });

    it('cannot be deleted while a scheduler or a seed peer belongs to it', async () => {
      const created = (await request('POST', '/api/v1/clusters', CLUSTER)).body as Record<string, number>;
      const scheduler = (
        await request('POST', '/api/v1/schedulers', {
          host_name: 's',
          ip: '10.0.0.1',
          port: 8002,
          scheduler_cluster_id: created['id'],
        })
      ).body as { id: number };
      expect(await request('DELETE', `/api/v1/clusters/${created['id']}`)).toMatchObject({
        status: 500,
        body: { message: 'scheduler cluster exists scheduler' },
      });
      await request('DELETE', `/api/v1/schedulers/${scheduler.id}`);
      const seedPeer = (
        await request('POST', '/api/v1/seed-peers', {
          host_name: 's',
          type: 'super',
          ip: '10.0.0.1',
          port: 4000,
          download_port: 4005,
          seed_peer_cluster_id: created['seed_peer_cluster_id'],
        })
      ).body as { id: number };
      expect(await request('DELETE', `/api/v1/clusters/${created['id']}`)).toMatchObject({
        status: 500,
        body: { message: 'seedPeer cluster exists seedPeer' },
      });
      await request('DELETE', `/api/v1/seed-peers/${seedPeer.id}`);
      expect(await request('DELETE', `/api/v1/clusters/${created['id']}`)).toMatchObject({ status: 200 });
    });

    it('is shown, alone and in the list, when it has no seed peer cluster', async () => {
      const alone = { name: 'alone', config: {}, client_config: {}, seed_client_config: {} };
      const { id } = (await request('POST', '/api/v1/scheduler-clusters', alone)).body as { id: number };
      expect(await request('GET', `/api/v1/clusters/${id}`)).toMatchObject({
        status: 200,
        body: { seed_peer_cluster_id: 0 },
      });
      expect((await request('GET', '/api/v1/clusters?name=alone')).body).toMatchObject([{ id }]);
      await request('DELETE', `/api/v1/scheduler-clusters/${id}`);
    });
  });

  describe('scheduler clusters and seed peer clusters', () => {
    it('take the bodies of 2.0.8 (seed 001-4)', async () => {
      const made = await manager.request('POST', '/api/v1/scheduler-clusters', {
        name: 'of-2-0-8',
        config: { filter_parent_limit: 4, filter_parent_range_limit: 40 },
        client_config: { load_limit: 50, parallel_count: 4 },
        scopes: { idc: 'a', net_topology: 'x' },
        seed_peer_cluster_id: 1,
      });
      expect(made).toMatchObject({
        status: 200,
        body: {
          config: { candidate_parent_limit: 4, filter_parent_limit: 40 },
          client_config: { load_limit: 50 },
          scopes: { idc: 'a' },
        },
      });
      const { id } = made.body as { id: number };
      expect((await manager.request('DELETE', `/api/v1/scheduler-clusters/${id}`)).status).toBe(200);
    });

    const schedulerCluster = {
      name: 'sc-2',
      config: { candidate_parent_limit: 4 },
      client_config: { load_limit: 10 },
      seed_client_config: {},
    };

    it('are made one by one and linked, as the set-up guide does (seed 001-4)', async () => {
      const seed = (await request('POST', '/api/v1/seed-peer-clusters', { name: 'spc-2', config: { load_limit: 9 } }))
        .body as { id: number };
      const created = await request('POST', '/api/v1/scheduler-clusters', {
        ...schedulerCluster,
        seed_peer_cluster_id: seed.id,
      });
      expect(created).toMatchObject({
        status: 200,
        body: { ...schedulerCluster, bio: '', scopes: {}, is_default: false, is_del: 0, peers: null, jobs: null },
      });
      const { id } = created.body as { id: number };
      const links = async (): Promise<unknown> =>
        (
          (await request('GET', `/api/v1/scheduler-clusters/${id}`)).body as { seed_peer_clusters: { id: number }[] }
        ).seed_peer_clusters.map((cluster) => cluster.id);
      await expect(links()).resolves.toEqual([seed.id]);
      await request('PATCH', `/api/v1/scheduler-clusters/${id}`, { seed_peer_cluster_id: 1 });
      await expect(links()).resolves.toEqual([1]);
      expect(await request('PUT', `/api/v1/seed-peer-clusters/${seed.id}/scheduler-clusters/${id}`)).toMatchObject({
        status: 200,
        body: '',
      });
      await expect(links()).resolves.toEqual([seed.id]);
      expect(await request('PUT', `/api/v1/seed-peer-clusters/${seed.id}/scheduler-clusters/99`)).toMatchObject({
        status: 404,
      });
      await request('DELETE', `/api/v1/scheduler-clusters/${id}`);
      expect(await request('GET', `/api/v1/seed-peer-clusters/${seed.id}`)).toMatchObject({
        body: { scheduler_clusters: [], seed_peer: [], jobs: null },
      });
      expect(await request('DELETE', `/api/v1/seed-peer-clusters/${seed.id}`)).toMatchObject({ status: 200, body: '' });
    });

    it('leaves nothing behind when the link cannot be made', async () => {
      const { status } = await request('POST', '/api/v1/scheduler-clusters', {
        ...schedulerCluster,
        seed_peer_cluster_id: 99,
      });
      expect(status).toBe(404);
      expect((await request('GET', '/api/v1/scheduler-clusters?name=sc-2')).body).toEqual([]);
    });

    it('changes only what is given', async () => {
      expect(await request('PATCH', '/api/v1/seed-peer-clusters/1', { bio: 'b' })).toMatchObject({
        status: 200,
        body: { name: 'cluster-1', bio: 'b', config: { load_limit: 2000 } },
      });
      expect(await request('PATCH', '/api/v1/scheduler-clusters/1', { name: '', scopes: { idc: 'i' } })).toMatchObject({
        status: 200,
        body: { name: 'cluster-1', scopes: { idc: 'i' }, is_default: true, client_config: { load_limit: 200 } },
      });
    });
  });

  describe('schedulers and seed peers', () => {
    const scheduler = { host_name: 'host-1', ip: '10.0.0.1', port: 8002, scheduler_cluster_id: 1 };
    const seedPeer = {
      host_name: 'host-1',
      type: 'super',
      ip: '10.0.0.1',
      port: 4000,
      download_port: 4005,
      seed_peer_cluster_id: 1,
    };

    it('creates, shows, changes and deletes a scheduler', async () => {
      const created = await request('POST', '/api/v1/schedulers', scheduler);
      expect(created).toMatchObject({
        status: 200,
        body: {
          ...scheduler,
          state: 'inactive',
          features: ['schedule', 'preheat'],
          config: {},
          idc: '',
          last_keep_alive_at: '0001-01-01T00:00:00Z',
          scheduler_cluster: { id: 0, config: null, created_at: '0001-01-01T00:00:00Z' },
        },
      });
      const { id } = created.body as { id: number };
      expect(await request('POST', '/api/v1/schedulers', scheduler)).toMatchObject({ status: 409 });
      expect(await request('GET', `/api/v1/schedulers/${id}`)).toMatchObject({
        body: { scheduler_cluster: { id: 1, name: 'cluster-1' } },
      });
      expect(await request('PATCH', `/api/v1/schedulers/${id}`, { features: [], port: 9002 })).toMatchObject({
        status: 200,
        body: { features: [], port: 9002, ip: '10.0.0.1' },
      });
      expect(await request('DELETE', `/api/v1/schedulers/${id}`)).toMatchObject({ status: 200, body: '' });
      expect(await request('GET', `/api/v1/schedulers/${id}`)).toMatchObject({ status: 404 });
      expect(await request('PATCH', `/api/v1/schedulers/${id}`, {})).toMatchObject({ status: 404 });
    });

    it('creates, shows, changes and deletes a seed peer', async () => {
      const created = await request('POST', '/api/v1/seed-peers', seedPeer);
      expect(created).toMatchObject({ status: 200, body: { ...seedPeer, state: 'inactive', object_storage_port: 0 } });
      const { id } = created.body as { id: number };
      expect(await request('PATCH', `/api/v1/seed-peers/${id}`, { object_storage_port: 65004 })).toMatchObject({
        body: { object_storage_port: 65004, port: 4000 },
      });
      expect(await request('PATCH', `/api/v1/seed-peers/${id}`, { type: 'slow' })).toMatchObject({ status: 422 });
      expect(await request('GET', `/api/v1/seed-peers/${id}`)).toMatchObject({
        body: { seed_peer_cluster: { id: 1, name: 'cluster-1' } },
      });
      expect(await request('DELETE', `/api/v1/seed-peers/${id}`)).toMatchObject({ status: 200 });
    });

    it.each([
      ['/api/v1/schedulers', { ...scheduler, scheduler_cluster_id: 99 }],
      ['/api/v1/seed-peers', { ...seedPeer, seed_peer_cluster_id: 99 }],
    ])('refuses a member of a cluster that does not exist at %s', async (path, body) => {
      expect(await request('POST', path, body)).toMatchObject({ status: 404, body: { message: 'record not found' } });
    });

    it('moves members to another cluster', async () => {
      const created = (await request('POST', '/api/v1/clusters', CLUSTER)).body as Record<string, number>;
      const { id } = (await request('POST', '/api/v1/schedulers', scheduler)).body as { id: number };
      expect(await request('PUT', `/api/v1/scheduler-clusters/${created['id']}/schedulers/${id}`)).toMatchObject({
        status: 200,
        body: '',
      });
      expect(await request('GET', `/api/v1/schedulers?scheduler_cluster_id=${created['id']}`)).toMatchObject({
        body: [{ id }],
      });
      await request('DELETE', `/api/v1/schedulers/${id}`);
      await request('DELETE', `/api/v1/clusters/${created['id']}`);
    });

    it('pages and filters lists, with the totals in the Link header', async () => {
      const database = manager.app.get(Database);
      await database.transaction(async (rows) => {
        for (let n = 1; n <= 25; n += 1) {
          await insertRow(rows, SeedPeerEntity, new Date(), {
            hostName: `seed-${n}`,
            type: 'super',
            ip: '10.1.0.1',
            port: 4000,
            downloadPort: 4005,
            state: n % 2 ? 'active' : 'inactive',
            seedPeerClusterId: 1,
          });
        }
      });
      const names = (answer: Answer): string[] => (answer.body as { host_name: string }[]).map((one) => one.host_name);
      const second = await request('GET', '/api/v1/seed-peers?page=2&ip=10.1.0.1');
      expect(names(second)).toEqual(Array.from({ length: 10 }, (_, i) => `seed-${i + 11}`));
      expect(second.headers.get('link')).toBe(
        '</api/v1/seed-peers?ip=10.1.0.1&page=1&per_page=10>;rel=prev,' +
          '</api/v1/seed-peers?ip=10.1.0.1&page=3&per_page=10>;rel=next,' +
          '</api/v1/seed-peers?ip=10.1.0.1&page=1&per_page=10>;rel=first,' +
          '</api/v1/seed-peers?ip=10.1.0.1&page=3&per_page=10>;rel=last',
      );
      expect(names(await request('GET', '/api/v1/seed-peers?page=3'))).toHaveLength(5);
      expect((await request('GET', '/api/v1/seed-peers?page=9')).body).toEqual([]);
      expect(names(await request('GET', '/api/v1/seed-peers?per_page=100&state=active'))).toHaveLength(13);
      expect(names(await request('GET', '/api/v1/seed-peers?host_name=seed-7'))).toEqual(['seed-7']);
      const none = await request('GET', '/api/v1/seed-peers?host_name=seed');
      expect(none.body).toEqual([]);
      expect(none.headers.get('link')).toContain('page=0&per_page=10>;rel=last');
      expect(await request('GET', '/api/v1/seed-peers?state=odd')).toMatchObject({ status: 422 });
      await database.transaction((rows) => rows.delete(SeedPeerEntity, { ip: '10.1.0.1' }));
    });

    it('answers a page beyond all numbers with nothing', async () => {
      const { status, body } = await request('GET', '/api/v1/schedulers?page=999999999999999&per_page=10000000');
      expect({ status, body }).toEqual({ status: 200, body: [] });
    });

    it('does not show rows that an original manager marked as deleted', async () => {
      const { id } = (await request('POST', '/api/v1/seed-peers', seedPeer)).body as { id: number };
      const database = manager.app.get(Database);
      await database.transaction((rows) => rows.update(SeedPeerEntity, { id }, { isDel: 1 }));
      expect(await request('GET', `/api/v1/seed-peers/${id}`)).toMatchObject({ status: 404 });
      expect((await request('GET', '/api/v1/seed-peers')).body).toEqual([]);
      await database.transaction((rows) => rows.delete(SeedPeerEntity, { id }));
    });

    it('names the features of schedulers', async () => {
      expect((await request('GET', '/api/v1/scheduler-features')).body).toEqual(['schedule', 'preheat']);
    });
  });

  describe('around the API', () => {
    it('is open: health, readiness, start page and API description', async () => {
      manager.signOut();
      expect(await request('GET', '/healthy')).toMatchObject({ status: 200, body: 'OK' });
      expect(await request('GET', '/readyz')).toMatchObject({
        status: 200,
        body: { ready: true, conditions: { database: { ok: true }, kv: { ok: true }, 'grpc-serving': { ok: true } } },
      });
      const start = await request('GET', '/');
      expect(start.headers.get('content-type')).toContain('text/html');
      expect(start.body).toContain('swagger/');
      expect(await request('GET', '/swagger/index.html')).toMatchObject({ status: 302 });
      expect((await request('GET', '/swagger/')).body).toContain('swagger-ui');
      expect((await fetch(`${manager.url}/swagger/swagger-ui-bundle.js`)).status).toBe(200);
      const description = (await request('GET', '/swagger/doc.json')).body as {
        paths: Record<string, Record<string, { requestBody?: object; parameters?: object[] }>>;
      };
      expect(Object.keys(description.paths)).toEqual(
        expect.arrayContaining([
          '/api/v1/users/signin',
          '/api/v1/clusters/{id}',
          '/api/v1/seed-peer-clusters/{id}/scheduler-clusters/{scheduler_cluster_id}',
          '/oapi/v1/clusters',
        ]),
      );
      expect(description.paths['/api/v1/clusters']?.['post']?.requestBody).toMatchObject({
        content: { 'application/json': { schema: { required: expect.arrayContaining(['name']) as string[] } } },
      });
      expect(description.paths['/api/v1/clusters']?.['get']?.parameters).toEqual(
        expect.arrayContaining([expect.objectContaining({ name: 'per_page', in: 'query' })]),
      );
    });

    it('answers unknown paths with 404 as JSON', async () => {
      expect(await request('GET', '/api/v1/nothing')).toMatchObject({ status: 404, body: { message: 'Not Found' } });
      expect(await request('PUT', '/nothing')).toMatchObject({ status: 404 });
    });

    it('lets no other site read answers', async () => {
      const { headers } = await manager.request('GET', '/api/v1/clusters', undefined, { origin: 'http://elsewhere' });
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    });

    it('shows metrics on their own port, without ids in labels', async () => {
      await request('GET', '/api/v1/clusters/1');
      const text = await (await fetch(`http://127.0.0.1:${manager.app.metricsPort}/metrics`)).text();
      expect(text).toMatch(/dragonfly_manager_version\{.*git_version="dfts-/);
      expect(text).toContain('url="/api/v1/clusters/:id"');
      expect((await fetch(`${manager.url}/metrics`)).status).toBe(404);
    });
  });
});
