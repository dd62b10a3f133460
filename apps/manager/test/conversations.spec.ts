import { violations, routeOf, type Description } from './described.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

/** One request and its answer. `{name}` in paths and bodies stands for the id that an earlier step kept under it. */
interface Step {
  request: string;
  body?: unknown;
  status?: number;
  /** What the answer's body must contain; a text, when there is no JSON. */
  answer?: unknown;
  /** Keeps the id of the answer. */
  keep?: string;
  /** Without a session. */
  anonymous?: boolean;
}

const notFound = { message: 'record not found' };
const conflict = { message: 'Conflict' };
const ZERO_TIME = '0001-01-01T00:00:00Z';
const config = { scheduler_cluster_config: {}, seed_peer_cluster_config: {}, peer_cluster_config: {} };

/** A conversation for each resource: what a client of the original sends, and what it gets. */
const CONVERSATIONS: Record<string, Step[]> = {
  users: [
    {
      request: 'POST /api/v1/users/signup',
      anonymous: true,
      body: { name: 'alice', password: 'secret-pw', email: 'alice@example.com', bio: 'b' },
      answer: { name: 'alice', email: 'alice@example.com', state: 'enable', bio: 'b', configs: null, is_del: 0 },
      keep: 'alice',
    },
    {
      request: 'POST /api/v1/users/signup',
      body: { name: 'alice', password: 'secret-pw', email: 'other@example.com' },
      status: 409,
      answer: conflict,
    },
    {
      request: 'POST /api/v1/users/signup',
      body: { name: 'al', password: 'short', email: 'x' },
      status: 422,
      answer: { errors: expect.stringContaining("'SignUpRequest.Name'") as string },
    },
    { request: 'GET /api/v1/users/{alice}', answer: { name: 'alice' } },
    { request: 'GET /api/v1/users/99', status: 404, answer: notFound },
    { request: 'GET /api/v1/users/x', status: 422 },
    { request: 'GET /api/v1/users?name=alice', answer: [{ name: 'alice' }] },
    { request: 'PATCH /api/v1/users/{alice}', body: { phone: '1', bio: '' }, answer: { phone: '1', bio: '' } },
    { request: 'PATCH /api/v1/users/99', body: {}, status: 404, answer: notFound },
    { request: 'GET /api/v1/users/{alice}/roles', answer: ['guest'] },
    { request: 'PUT /api/v1/users/{alice}/roles/root', answer: '' },
    { request: 'PUT /api/v1/users/{alice}/roles/root', status: 409, answer: '' },
    { request: 'PUT /api/v1/users/99/roles/root', status: 404 },
    { request: 'PUT /api/v1/users/{alice}/roles/nothing', status: 404, answer: notFound },
    { request: 'DELETE /api/v1/users/{alice}/roles/root', answer: '' },
    { request: 'DELETE /api/v1/users/{alice}/roles/root', status: 404, answer: '' },
    { request: 'DELETE /api/v1/users/1/roles/root', status: 409 },
    {
      request: 'POST /api/v1/users/{alice}/reset_password',
      anonymous: true,
      body: { old_password: 'secret-pw', new_password: 'secret-pw-2' },
      answer: '',
    },
    {
      request: 'POST /api/v1/users/{alice}/reset_password',
      body: { old_password: 'secret-pw', new_password: 'secret-pw-2' },
      status: 401,
      answer: { message: 'Unauthorized' },
    },
    {
      request: 'POST /api/v1/users/signin',
      body: { name: 'alice', password: 'secret-pw-2' },
      answer: { token: expect.any(String) as string, expire: expect.stringMatching(/Z$/) as string },
    },
    {
      request: 'POST /api/v1/users/signin',
      body: { name: 'alice', password: 'x' },
      status: 401,
      answer: { message: 'Unauthorized' },
    },
    { request: 'POST /api/v1/users/refresh_token', answer: { token: expect.any(String) as string } },
    { request: 'POST /api/v1/users/refresh_token', anonymous: true, status: 401 },
    { request: 'POST /api/v1/users/signout', anonymous: true, answer: '' },
  ],
  roles: [
    {
      request: 'POST /api/v1/roles',
      body: { role: 'ops', permissions: [{ object: 'clusters', action: '*' }] },
      answer: '',
    },
    { request: 'POST /api/v1/roles', body: { role: 'ops', permissions: [{ object: 'clusters', action: '*' }] } },
    { request: 'POST /api/v1/roles', body: { role: '7', permissions: [] }, status: 422 },
    { request: 'POST /api/v1/roles', body: { role: 'x' }, status: 422 },
    { request: 'GET /api/v1/roles', answer: ['root', 'guest', 'ops'] },
    { request: 'GET /api/v1/roles/ops', answer: [['ops', 'clusters', '*']] },
    { request: 'GET /api/v1/roles/nobody', answer: [] },
    { request: 'POST /api/v1/roles/ops/permissions', body: { object: 'users', action: 'read' }, answer: '' },
    {
      request: 'POST /api/v1/roles/ops/permissions',
      body: { object: 'users', action: 'read' },
      status: 409,
      answer: '',
    },
    { request: 'POST /api/v1/roles/ops/permissions', body: { object: 'users', action: 'write' }, status: 422 },
    { request: 'DELETE /api/v1/roles/ops/permissions', body: { object: 'users', action: 'read' }, answer: '' },
    {
      request: 'DELETE /api/v1/roles/ops/permissions',
      body: { object: 'users', action: 'read' },
      status: 404,
      answer: '',
    },
    { request: 'DELETE /api/v1/roles/ops', answer: '' },
    { request: 'DELETE /api/v1/roles/ops', status: 404, answer: '' },
    { request: 'DELETE /api/v1/roles/root', status: 409 },
    // The number of an account is no role.
    { request: 'DELETE /api/v1/roles/1', status: 404, answer: '' },
    { request: 'GET /api/v1/users/1/roles', answer: ['root'] },
    {
      request: 'GET /api/v1/permissions',
      answer: expect.arrayContaining([
        { object: 'jobs', action: 'read' },
        { object: 'jobs', action: '*' },
      ]) as unknown,
    },
  ],
  oauth: [
    {
      request: 'POST /api/v1/oauth',
      body: { name: 'github', client_id: 'id-1', client_secret: 'hidden-1', redirect_url: 'http://h/cb' },
      answer: { name: 'github', client_id: 'id-1', redirect_url: 'http://h/cb', bio: '' },
      keep: 'oauth',
    },
    {
      request: 'POST /api/v1/oauth',
      body: { name: 'github', client_id: 'id-2', client_secret: 's' },
      status: 409,
      answer: conflict,
    },
    { request: 'POST /api/v1/oauth', body: { name: 'gitlab', client_id: 'c', client_secret: 's' }, status: 422 },
    { request: 'GET /api/v1/oauth/{oauth}', answer: { client_id: 'id-1' } },
    { request: 'GET /api/v1/oauth/99', status: 404, answer: notFound },
    { request: 'GET /api/v1/oauth?name=github', answer: [{ client_id: 'id-1' }] },
    { request: 'PATCH /api/v1/oauth/{oauth}', body: { bio: 'x' }, answer: { bio: 'x', client_id: 'id-1' } },
    { request: 'GET /api/v1/users/signin', anonymous: true, answer: [{ name: 'github' }] },
    { request: 'GET /api/v1/users/signin/github', anonymous: true, status: 302, answer: '' },
    { request: 'GET /api/v1/users/signin/google', anonymous: true, status: 404, answer: notFound },
    { request: 'GET /api/v1/users/signin/github/callback', anonymous: true, status: 422 },
    { request: 'GET /api/v1/users/signin/github/callback?code=x&state=y', anonymous: true, status: 401 },
    { request: 'DELETE /api/v1/oauth/{oauth}', answer: '' },
    { request: 'DELETE /api/v1/oauth/{oauth}', status: 404, answer: notFound },
  ],
  clusters: [
    { request: 'POST /api/v1/clusters', body: { name: 'c-2', ...config }, answer: { name: 'c-2' }, keep: 'cluster' },
    { request: 'POST /api/v1/clusters', body: { name: 'c-2', ...config }, status: 409, answer: conflict },
    { request: 'GET /api/v1/clusters/{cluster}', answer: { name: 'c-2' } },
    { request: 'GET /api/v1/clusters?name=c-2', answer: [{ name: 'c-2' }] },
    { request: 'PATCH /api/v1/clusters/{cluster}', body: { bio: 'b' }, answer: { bio: 'b' } },
    { request: 'DELETE /api/v1/clusters/{cluster}', answer: '' },
    { request: 'GET /api/v1/clusters/{cluster}', status: 404, answer: notFound },
  ],
  'seed peer clusters and scheduler clusters': [
    {
      request: 'POST /api/v1/seed-peer-clusters',
      body: { name: 'spc', config: {} },
      answer: { name: 'spc', scheduler_clusters: null, seed_peer: null, jobs: null },
      keep: 'spc',
    },
    {
      request: 'POST /api/v1/scheduler-clusters',
      body: { name: 'sc', config: {}, client_config: {}, seed_client_config: {} },
      answer: { name: 'sc', seed_peer_clusters: null, peers: null, jobs: null },
      keep: 'sc',
    },
    { request: 'GET /api/v1/seed-peer-clusters/{spc}', answer: { name: 'spc', scheduler_clusters: [], seed_peer: [] } },
    { request: 'GET /api/v1/seed-peer-clusters?name=spc', answer: [{ name: 'spc' }] },
    { request: 'PATCH /api/v1/seed-peer-clusters/{spc}', body: { bio: 'b' }, answer: { bio: 'b' } },
    { request: 'PUT /api/v1/seed-peer-clusters/{spc}/scheduler-clusters/{sc}', answer: '' },
    {
      request: 'POST /api/v1/seed-peers',
      body: {
        host_name: 's',
        type: 'super',
        ip: '10.0.0.7',
        port: 1,
        download_port: 2,
        seed_peer_cluster_id: 1,
      },
      answer: { host_name: 's', state: 'inactive' },
      keep: 'seed',
    },
    { request: 'PUT /api/v1/seed-peer-clusters/{spc}/seed-peers/{seed}', answer: '' },
    { request: 'GET /api/v1/seed-peers/{seed}', answer: { seed_peer_cluster: { name: 'spc' } } },
    { request: 'GET /api/v1/seed-peers?ip=10.0.0.7', answer: [{ host_name: 's' }] },
    { request: 'PATCH /api/v1/seed-peers/{seed}', body: { port: 5 }, answer: { port: 5 } },
    { request: 'DELETE /api/v1/seed-peer-clusters/{spc}', status: 500 },
    { request: 'DELETE /api/v1/seed-peers/{seed}', answer: '' },
    { request: 'GET /api/v1/scheduler-clusters/{sc}', answer: { seed_peer_clusters: [{ name: 'spc' }] } },
    { request: 'GET /api/v1/scheduler-clusters?name=sc', answer: [{ name: 'sc' }] },
    { request: 'PATCH /api/v1/scheduler-clusters/{sc}', body: { bio: 'b' }, answer: { bio: 'b' } },
    {
      request: 'POST /api/v1/schedulers',
      body: { host_name: 's', ip: '10.0.0.7', port: 1, scheduler_cluster_id: 1 },
      answer: { features: ['schedule', 'preheat'], last_keep_alive_at: ZERO_TIME },
      keep: 'scheduler',
    },
    { request: 'PUT /api/v1/scheduler-clusters/{sc}/schedulers/{scheduler}', answer: '' },
    { request: 'GET /api/v1/schedulers/{scheduler}', answer: { scheduler_cluster: { name: 'sc' } } },
    { request: 'GET /api/v1/schedulers?host_name=s', answer: [{ host_name: 's' }] },
    { request: 'PATCH /api/v1/schedulers/{scheduler}', body: { features: [] }, answer: { features: [] } },
    { request: 'DELETE /api/v1/scheduler-clusters/{sc}', status: 500 },
    { request: 'DELETE /api/v1/schedulers/{scheduler}', answer: '' },
    { request: 'GET /api/v1/scheduler-features', answer: ['schedule', 'preheat'] },
    { request: 'DELETE /api/v1/scheduler-clusters/{sc}', answer: '' },
    { request: 'DELETE /api/v1/seed-peer-clusters/{spc}', answer: '' },
  ],
  peers: [
    {
      request: 'POST /api/v1/peers',
      body: {
        host_name: 'p',
        type: 'normal',
        ip: '10.0.0.8',
        port: 1,
        download_port: 2,
        proxy_port: 3,
        git_version: 'v1',
        scheduler_cluster_id: 1,
      },
      answer: { host_name: 'p', type: 'normal', state: 'inactive', git_version: 'v1', scheduler_cluster: { id: 0 } },
      keep: 'peer',
    },
    { request: 'POST /api/v1/peers', body: { host_name: 'p' }, status: 422 },
    { request: 'GET /api/v1/peers/{peer}', answer: { scheduler_cluster: { name: 'cluster-1' } } },
    { request: 'GET /api/v1/peers?type=normal&scheduler_cluster_id=1', answer: [{ host_name: 'p' }] },
    { request: 'GET /api/v1/peers?type=odd', status: 422 },
    { request: 'DELETE /api/v1/peers/{peer}', answer: '' },
    { request: 'GET /api/v1/peers/{peer}', status: 404, answer: notFound },
  ],
  configs: [
    {
      request: 'GET /api/v1/configs',
      answer: [
        { name: 'gc', value: '{"audit":{"ttl":604800000000000},"job":{"ttl":21600000000000}}', user: { id: 0 } },
      ],
    },
    {
      request: 'POST /api/v1/configs',
      body: { name: 'is_boot', value: '1', user_id: 1 },
      answer: { name: 'is_boot', value: '1', user_id: 1, bio: '' },
      keep: 'config',
    },
    {
      request: 'POST /api/v1/configs',
      body: { name: 'is_boot', value: '1', user_id: 1 },
      status: 409,
      answer: conflict,
    },
    { request: 'POST /api/v1/configs', body: { name: 'x' }, status: 422 },
    { request: 'GET /api/v1/configs?name=is_boot', answer: [{ value: '1' }] },
    { request: 'PATCH /api/v1/configs/{config}', body: { value: '0' }, answer: { value: '0', name: 'is_boot' } },
    { request: 'GET /api/v1/configs/{config}', answer: { value: '0' } },
    { request: 'DELETE /api/v1/configs/{config}', answer: '' },
    { request: 'DELETE /api/v1/configs/{config}', status: 404, answer: notFound },
  ],
  applications: [
    {
      request: 'POST /api/v1/applications',
      body: {
        name: 'app',
        url: 'https://a',
        priority: { value: 0, urls: [{ regex: '^https://a/.*$', value: 3 }] },
        user_id: 1,
      },
      answer: {
        name: 'app',
        priority: { value: 0, urls: [{ regex: '^https://a/.*$', value: 3 }] },
        user: { name: 'root' },
      },
      keep: 'app',
    },
    {
      request: 'POST /api/v1/applications',
      body: { name: 'app', url: 'u', priority: { value: 1 }, user_id: 1 },
      status: 409,
      answer: conflict,
    },
    {
      request: 'POST /api/v1/applications',
      body: { name: 'b', url: 'u', priority: { value: 21, urls: [{ regex: '(', value: 1 }] }, user_id: 1 },
      status: 422,
      answer: { errors: expect.stringMatching(/'Value'.*'lte'[^]*'Regex'.*'regexp'/) as string },
    },
    { request: 'GET /api/v1/applications/{app}', answer: { url: 'https://a', user: { name: 'root' } } },
    { request: 'GET /api/v1/applications?name=app', answer: [{ name: 'app' }] },
    { request: 'GET /api/v1/applications?name=other', answer: [] },
    { request: 'PATCH /api/v1/applications/{app}', body: { bio: 'b', user_id: 1 }, answer: { bio: 'b', name: 'app' } },
    { request: 'PATCH /api/v1/applications/{app}', body: { bio: 'b' }, status: 422 },
    { request: 'DELETE /api/v1/applications/{app}', answer: '' },
    { request: 'GET /api/v1/applications/{app}', status: 404, answer: notFound },
  ],
  'personal access tokens': [
    {
      request: 'POST /api/v1/personal-access-tokens',
      body: { name: 'ci', expired_at: '2030-01-01T00:00:00Z', user_id: 1 },
      answer: {
        name: 'ci',
        token: expect.stringMatching(/^[\w-]{48}$/) as string,
        scopes: ['job', 'cluster'],
        state: 'active',
        expired_at: '2030-01-01T00:00:00Z',
        user: { name: 'root' },
      },
      keep: 'pat',
    },
    {
      request: 'POST /api/v1/personal-access-tokens',
      body: { name: 'ci', expired_at: '2030-01-01T00:00:00Z', user_id: 1 },
      status: 409,
      answer: conflict,
    },
    {
      request: 'POST /api/v1/personal-access-tokens',
      body: { name: 'late', expired_at: '2039-01-01T00:00:00Z', user_id: 1 },
      status: 422,
    },
    {
      request: 'POST /api/v1/personal-access-tokens',
      body: { name: 'odd', expired_at: 'tomorrow', user_id: 1 },
      status: 422,
    },
    { request: 'GET /api/v1/personal-access-tokens/{pat}', answer: { token: '', user: { name: 'root' } } },
    { request: 'GET /api/v1/personal-access-tokens?user_id=1&state=active', answer: [{ token: '' }] },
    {
      request: 'PATCH /api/v1/personal-access-tokens/{pat}',
      body: { scopes: ['job'], state: 'inactive' },
      answer: { scopes: ['job'], state: 'inactive', token: '' },
    },
    {
      request: 'PATCH /api/v1/personal-access-tokens/{pat}',
      body: { bio: 'x' },
      answer: { scopes: ['job'], bio: 'x' },
    },
    { request: 'DELETE /api/v1/personal-access-tokens/{pat}', answer: '' },
    { request: 'GET /api/v1/personal-access-tokens/{pat}', status: 404, answer: notFound },
  ],
  audits: [
    { request: 'DELETE /api/v1/peers/4711', status: 404 },
    {
      request: 'GET /api/v1/audits?path=/api/v1/peers/4711',
      answer: [
        {
          actor_type: 'USER',
          actor_name: 'root',
          event_type: 'API',
          operation: 'DELETE',
          state: 'FAILURE',
          status_code: 404,
          path: '/api/v1/peers/4711',
        },
      ],
    },
    { request: 'GET /api/v1/audits?actor_type=ROBOT', status: 422 },
    { request: 'GET /api/v1/audits?status_code=404&operation=DELETE&actor_name=nobody', answer: [] },
  ],
  tenants: [
    {
      request: 'POST /api/v1/tenants',
      body: { name: 'blue', scheduler_cluster_ids: [1], limits: { clusters: 2, users: 0 } },
      answer: { name: 'blue', scheduler_cluster_ids: [1], applications: [], limits: { clusters: 2 }, state: 'enable' },
      keep: 'tenant',
    },
    { request: 'POST /api/v1/tenants', body: { name: 'blue' }, status: 409, answer: conflict },
    {
      request: 'POST /api/v1/tenants',
      body: { name: 'x', scheduler_cluster_ids: [99] },
      status: 404,
      answer: notFound,
    },
    { request: 'GET /api/v1/tenants/{tenant}', answer: { user_ids: [] } },
    { request: 'GET /api/v1/tenants?name=blue', answer: [{ name: 'blue' }] },
    { request: 'PATCH /api/v1/tenants/{tenant}', body: { applications: ['a'] }, answer: { applications: ['a'] } },
    { request: 'PUT /api/v1/tenants/{tenant}/users/{alice}', answer: '' },
    { request: 'GET /api/v1/tenants/{tenant}', answer: { user_ids: [expect.any(Number) as number] } },
    { request: 'DELETE /api/v1/tenants/{tenant}', status: 409 },
    { request: 'DELETE /api/v1/tenants/{tenant}/users/{alice}', answer: '' },
    { request: 'DELETE /api/v1/tenants/{tenant}/users/{alice}', status: 404, answer: notFound },
    { request: 'DELETE /api/v1/tenants/{tenant}', answer: '' },
  ],
};

/** Routes whose conversations stand in specs of their own. */
const ELSEWHERE = /\/(jobs|persistent-cache-tasks|buckets|bandwidth|_ping|preheats)(\/|$)|^\w+ \/oapi\//;

describe.each(engines)('conversations on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let description: Description;
  const kept = new Map<string, number>();
  const spoken = new Set<string>();

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
    description = (await manager.request('GET', '/swagger/doc.json')).body as Description;
  });
  afterAll(() => manager.stop());

  const filled = (text: string): string =>
    text.replaceAll(/\{(\w+)\}/g, (_all, name: string) => String(kept.get(name) ?? 'missing'));

  for (const [subject, steps] of Object.entries(CONVERSATIONS)) {
    describe(`about ${subject}`, () => {
      it.each(steps.map((step, n): [string, Step] => [`${n + 1}. ${step.request} → ${step.status ?? 200}`, step]))(
        '%s',
        async (_name, step) => {
          const [method = '', path = ''] = filled(step.request).split(' ');
          const send = step.anonymous ? manager.anonymously() : manager;
          const answer = await send.request(method, path, step.body);
          const route = routeOf(description, method, path) ?? 'not described';
          spoken.add(route);
          expect({ status: answer.status, body: answer.body }).toMatchObject({
            status: step.status ?? 200,
            ...(step.answer === undefined ? {} : { body: step.answer }),
          });
          expect(violations(description, route, answer)).toEqual([]);
          if (answer.status === 200 && method === 'GET' && Array.isArray(answer.body) && /\?/.test(path)) {
            expect(answer.headers.get('link')).toMatch(/;rel=prev,.*;rel=next,.*;rel=first,.*;rel=last$/);
          }
          if (step.keep) {
            kept.set(step.keep, (answer.body as { id: number }).id);
          }
        },
      );
    });
  }

  it('have been had about every route', () => {
    const all = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(all.filter((route) => !spoken.has(route) && !ELSEWHERE.test(route))).toEqual([]);
  });
});
