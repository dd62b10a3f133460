import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const CONFIG = { scheduler_cluster_config: {}, seed_peer_cluster_config: {}, peer_cluster_config: {} };
const networks = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `10.${at >> 8}.${at & 255}.0/24`);
const texts = (count: number): string[] => Array.from({ length: count }, (_, at) => `text-${at}`);
const blockList = (list: object): object => ({ block_list: { task: { download: list } } });

describe.each(engines)('lists in requests, on $name', ({ freshDatabase }) => {
  let manager: RunningManager;

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
  });
  afterAll(() => manager.stop());

  it('may be as long as they may be, and come back whole', async () => {
    const cluster = { name: 'long', ...CONFIG, scopes: { cidrs: networks(1_000), hostnames: texts(1_000) } };
    expect(await manager.request('POST', '/api/v1/clusters', cluster)).toMatchObject({
      status: 200,
      body: { scopes: { cidrs: cluster.scopes.cidrs, hostnames: cluster.scopes.hostnames } },
    });
  });

  it.each<[string, string, object, string]>([
    [
      'networks',
      'clusters',
      { ...CONFIG, scopes: { cidrs: networks(1_001) } },
      'CreateClusterRequest.Scopes.CIDRs lte',
    ],
    ['a network of many characters', 'clusters', { ...CONFIG, scopes: { cidrs: ['1'.repeat(65)] } }, 'CIDRs[0] max'],
    ['host names', 'clusters', { ...CONFIG, scopes: { hostnames: texts(1_001) } }, 'Scopes.Hostnames lte'],
    [
      'blocked URLs',
      'clusters',
      { ...CONFIG, peer_cluster_config: blockList({ urls: texts(1_001) }) },
      'PeerClusterConfig.BlockList.Task.Download.URLs lte',
    ],
    [
      'blocked priorities',
      'seed-peer-clusters',
      { config: blockList({ priorities: new Array(1_001).fill(1) }) },
      'Config.BlockList.Task.Download.Priorities lte',
    ],
    ['features', 'schedulers', { features: texts(65) }, 'CreateSchedulerRequest.Features lte'],
    [
      'clusters of a tenant',
      'tenants',
      { scheduler_cluster_ids: new Array(10_001).fill(1) },
      'SchedulerClusterIDs lte',
    ],
    ['applications of a tenant', 'tenants', { applications: texts(1_001) }, 'CreateTenantRequest.Applications lte'],
    ['scopes of a token', 'personal-access-tokens', { scopes: texts(65) }, 'Scopes lte'],
    [
      'permissions',
      'roles',
      { permissions: new Array(1_001).fill({ object: 'jobs', action: 'read' }) },
      'Permissions lte',
    ],
    [
      'headers of a preheat',
      'jobs',
      { type: 'preheat', args: { type: 'file', url: 'http://x/y', headers: Object.fromEntries(texts(201).entries()) } },
      'Args.Headers lte',
    ],
  ])('are refused when they are too long, with field and rule: %s', async (_, resource, over, expected) => {
    const { status, body } = await manager.request('POST', `/api/v1/${resource}`, { name: 'x', ...over });
    const { errors } = body as { errors: string };
    const [field, rule] = expected.split(' ');
    expect(status).toBe(422);
    const line = errors.split('\n').find((one) => one.includes(`${field}'`)) ?? errors;
    expect(line).toContain(`failed on the '${rule}' tag`);
    expect(line).toContain(`${field}' Error:Field validation for`);
  });

  it('of a million wrong elements get a short answer', async () => {
    const body = { name: 'x', ...CONFIG, scopes: { cidrs: new Array(1_000_000).fill(1) } };
    const { status, body: answer } = await manager.request('POST', '/api/v1/clusters', body);
    expect(status).toBe(422);
    expect(JSON.stringify(answer).length).toBeLessThan(32_768);
  });
});
