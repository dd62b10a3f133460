import { Database, PersonalAccessTokenEntity } from '@dragonfly/persistence';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { ROUTE_RULES, type TenantRule } from '../src/auth/route-rules.js';
import type { Description } from './described.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

/** Routes that are open to everybody. */
const PUBLIC = new Set([
  'GET /api/v1/users/signin',
  'GET /api/v1/users/signin/{name}',
  'GET /api/v1/users/signin/{name}/callback',
  'POST /api/v1/users/refresh_token',
  'POST /api/v1/users/signin',
  'POST /api/v1/users/signout',
  'POST /api/v1/users/signup',
  'POST /api/v1/users/{id}/reset_password',
]);

/** Calls of registries, which prove themselves in their own way: see their specs. */
const OF_REGISTRIES = /\/(_ping|preheats|jobs\/hooks)(\/|$)/;

/**
 * What members of a tenant meet at each route; those with the role root besides what roles say. A route that is missing
 * here, or here without being there, fails: whoever adds one says what it is for tenants.
 */
const FOR_TENANTS: Record<TenantRule, RegExp[]> = {
  open: [/^GET \/api\/v1\/(scheduler-features|permissions|roles|roles\/\{role\})$/],
  scoped: [
    /^\w+ \/o?api\/v1\/(clusters|jobs)(\/|$)/,
    /^GET \/api\/v1\/scheduler-clusters\/\{id\}\/bandwidth$/,
    /^GET \/api\/v1\/(scheduler-clusters|seed-peer-clusters|seed-peers|tenants)(\/\{id\})?$/,
    /^\w+ \/api\/v1\/(schedulers|peers|applications|personal-access-tokens|users|persistent-cache-tasks)(\/|$)/,
  ],
  refused: [/./],
};

function ruleFor(route: string): TenantRule {
  return (
    (['open', 'scoped'] as const).find((rule) => FOR_TENANTS[rule].some((pattern) => pattern.test(route))) ?? 'refused'
  );
}

const isDenied = ({ status, body }: Answer): boolean =>
  status === 401 && (body as { message?: string }).message === 'permission deny';

// The rules do not depend on the database.
describe('who may use which route', () => {
  const engine = engines[0];
  let manager: RunningManager;
  let routes: { route: string; method: string; path: string }[];
  const sessions = new Map<string, string>();

  beforeAll(async () => {
    manager = await RunningManager.start(engine ? await engine.freshDatabase() : {});
    const description = (await manager.request('GET', '/swagger/doc.json')).body as Description;
    routes = Object.entries(description.paths)
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => ({
          route: `${method.toUpperCase()} ${path}`,
          method: method.toUpperCase(),
          path,
        })),
      )
      .filter(({ path }) => !OF_REGISTRIES.test(path));
    sessions.set('root', ((await manager.signIn()).body as { token: string }).token);
    for (const name of ['guest', 'norole', 'reader', 'tenant']) {
      const account = { name, password: 'secret-pw', email: `${name}@example.com` };
      const { id } = (await manager.request('POST', '/api/v1/users/signup', account)).body as { id: number };
      if (name === 'norole' || name === 'tenant') {
        await manager.request('DELETE', `/api/v1/users/${id}/roles/guest`);
      }
      if (name === 'tenant') {
        await manager.request('PUT', `/api/v1/users/${id}/roles/root`);
        const tenant = (await manager.request('POST', '/api/v1/tenants', { name: 't' })).body as { id: number };
        await manager.request('PUT', `/api/v1/tenants/${tenant.id}/users/${id}`);
      }
      const signedIn = await manager.anonymously().request('POST', '/api/v1/users/signin', account);
      sessions.set(name, (signedIn.body as { token: string }).token);
    }
    for (const scope of ['job', 'cluster']) {
      const { body } = await manager.request('POST', '/api/v1/personal-access-tokens', {
        name: scope,
        scopes: [scope],
        expired_at: '2030-01-01T00:00:00Z',
        user_id: 1,
      });
      sessions.set(`token-${scope}`, (body as { token: string }).token);
    }
  });
  afterAll(() => manager.stop());

  /** A request that finds nothing to do: ids that do not exist, no body. */
  const ask = (who: string, method: string, path: string): Promise<Answer> => {
    const session = sessions.get(who);
    return manager.anonymously().request(
      method,
      path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => (/id$/.test(name) ? '999999' : 'nothing-999')),
      undefined,
      session ? { authorization: `Bearer ${session}` } : {},
    );
  };
  const api = (): typeof routes => routes.filter(({ route, path }) => path.startsWith('/api/') && !PUBLIC.has(route));

  it('has only public routes that are known as such', async () => {
    const open: string[] = [];
    for (const { route, method, path } of routes) {
      const answer = await ask('nobody', method, path);
      if (answer.status !== 401 || PUBLIC.has(route)) {
        open.push(route);
      }
    }
    expect(open.sort()).toEqual([...PUBLIC].sort());
  });

  it('lets the role root use every route', async () => {
    for (const { route, method, path } of api()) {
      const answer = await ask('root', method, path);
      expect({ route, denied: isDenied(answer), status: answer.status }).toEqual({
        route,
        denied: false,
        status: expect.any(Number) as number,
      });
      expect([401, 403]).not.toContain(answer.status);
    }
  });

  it('lets the role guest read everything but the keys to the cluster, and change nothing', async () => {
    for (const { route, method, path } of api()) {
      const mayRead = method === 'GET' && !/join-tokens|certificate/.test(path);
      expect({ route, denied: isDenied(await ask('guest', method, path)) }).toEqual({ route, denied: !mayRead });
    }
  });

  it('lets an account without a role do nothing', async () => {
    for (const { route, method, path } of api()) {
      expect({ route, denied: isDenied(await ask('norole', method, path)) }).toEqual({ route, denied: true });
    }
  });

  it('lets a tenant with the role root use what is for tenants, and nothing else', async () => {
    for (const { route, method, path } of api()) {
      expect({ route, denied: isDenied(await ask('tenant', method, path)) }).toEqual({
        route,
        denied: ruleFor(route) === 'refused',
      });
    }
  });

  it('lets a personal access token use the routes of its scope under /oapi, and no session there', async () => {
    const oapi = routes.filter(({ path }) => path.startsWith('/oapi/'));
    expect(oapi.length).toBeGreaterThanOrEqual(10);
    for (const { route, method, path } of oapi) {
      const needed = path.split('/')[3] === 'jobs' ? 'job' : 'cluster';
      for (const scope of ['job', 'cluster']) {
        const { status } = await ask(`token-${scope}`, method, path);
        expect({ route, scope, isRefused: status === 403 }).toEqual({ route, scope, isRefused: scope !== needed });
      }
      expect({ route, status: (await ask('root', method, path)).status }).toEqual({ route, status: 401 });
    }
    for (const { route, method, path } of api().slice(0, 20)) {
      expect({ route, status: (await ask('token-cluster', method, path)).status }).toEqual({ route, status: 401 });
    }
  });

  it('says of every route that is not public what it is for tenants', () => {
    const reflector = new Reflector();
    const scanner = new MetadataScanner();
    const silent: string[] = [];
    let seen = 0;
    for (const { metatype, instance } of manager.app.get(DiscoveryService).getControllers()) {
      const prototype = Object.getPrototypeOf(instance ?? {}) as Record<string, (...all: unknown[]) => unknown>;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name];
        const targets = [handler, metatype].filter((target) => typeof target === 'function');
        const isRoute = handler && Reflect.hasMetadata('path', handler);
        const [isPublic, rule] = [ROUTE_RULES.isPublic, ROUTE_RULES.forTenants].map((key) =>
          reflector.getAllAndOverride<unknown>(key, targets),
        );
        seen += isRoute ? 1 : 0;
        if (isRoute && !isPublic && !rule) {
          silent.push(`${metatype?.name}.${name}`);
        }
      }
    }
    expect(silent).toEqual([]);
    expect(seen).toBeGreaterThan(80);
  });

  it('lets everybody see and change the own profile, but not the own state', async () => {
    const asGuest = { authorization: `Bearer ${sessions.get('norole')}` };
    const own = await manager.request('GET', '/api/v1/users?name=norole');
    const [{ id } = { id: 0 }] = own.body as { id: number }[];
    const stranger = manager.anonymously();
    expect(await stranger.request('PATCH', `/api/v1/users/${id}`, { bio: 'me' }, asGuest)).toMatchObject({
      status: 200,
      body: { bio: 'me' },
    });
    expect(await stranger.request('GET', `/api/v1/users/${id}/roles`, undefined, asGuest)).toMatchObject({ body: [] });
    expect(await stranger.request('PATCH', `/api/v1/users/${id}`, { state: 'disable' }, asGuest)).toMatchObject({
      status: 403,
    });
    expect(isDenied(await stranger.request('PATCH', '/api/v1/users/1', { bio: 'me' }, asGuest))).toBe(true);
    expect(isDenied(await stranger.request('GET', '/api/v1/users/1', undefined, asGuest))).toBe(true);
  });

  it('shows people who may only read the own tokens, and nobody a token in clear', async () => {
    const asGuest = { authorization: `Bearer ${sessions.get('guest')}` };
    const stranger = manager.anonymously();
    expect((await stranger.request('GET', '/api/v1/personal-access-tokens', undefined, asGuest)).body).toEqual([]);
    expect(await stranger.request('GET', '/api/v1/personal-access-tokens/1', undefined, asGuest)).toMatchObject({
      status: 404,
    });
    const all = (await manager.request('GET', '/api/v1/personal-access-tokens')).body as { token: string }[];
    expect(all.map(({ token }) => token)).toEqual(['', '']);
    const rows = await manager.app.get(Database).manager.find(PersonalAccessTokenEntity);
    expect(rows.every(({ token }) => token.startsWith('sha256:'))).toBe(true);
  });

  it('ends the sessions and tokens of an account that is disabled, at once', async () => {
    const { body } = await manager.request('GET', '/api/v1/users?name=reader');
    const [{ id } = { id: 0 }] = body as { id: number }[];
    const { token } = (
      await manager.request('POST', '/api/v1/personal-access-tokens', {
        name: 'of reader',
        expired_at: '2030-01-01T00:00:00Z',
        user_id: id,
      })
    ).body as { token: string };
    const bearer = (value: string | undefined): Record<string, string> => ({ authorization: `Bearer ${value}` });
    const stranger = manager.anonymously();
    const read = async (): Promise<number[]> => [
      (await stranger.request('GET', '/api/v1/clusters', undefined, bearer(sessions.get('reader')))).status,
      (await stranger.request('GET', '/oapi/v1/clusters', undefined, bearer(token))).status,
    ];
    await expect(read()).resolves.toEqual([200, 200]);
    await manager.request('PATCH', `/api/v1/users/${id}`, { state: 'disable' });
    await expect(read()).resolves.toEqual([401, 401]);
    expect(
      await stranger.request('POST', '/api/v1/users/signin', { name: 'reader', password: 'secret-pw' }),
    ).toMatchObject({ status: 401 });
    await manager.request('PATCH', `/api/v1/users/${id}`, { state: 'enable' });
    await expect(read()).resolves.toEqual([200, 200]);
  });
});
