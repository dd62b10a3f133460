import { type Database, insertRow, SchedulerClusterEntity, SchedulerEntity } from '@dragonfly/persistence';
import { aRegistry, aScheduler, aSeedPeer, type Registry } from '../../test/a-registry.js';
import { aDatabase } from '../../test/sqlite-database.js';

let database: Database;
let registry: Registry;

beforeEach(async () => {
  database = await aDatabase();
  registry = aRegistry(database);
});
afterEach(() => database.close());

const client = { hostname: 'peer', ip: '10.9.9.9', idc: 'idc-2', location: '' };
const keepAlive = (over: { hostname?: string; ip?: string; clusterId?: number } = {}): Promise<unknown> =>
  registry.keepAlives.open({ kind: 'scheduler', hostname: 'scheduler-1', ip: '10.0.0.1', clusterId: 1, ...over });

describe('scheduler registry', () => {
  it('registers a scheduler into its cluster by id, inactive, with all features (seed 001-5)', async () => {
    const row = await registry.schedulers.register(aScheduler());
    expect(row).toMatchObject({ state: 'inactive', schedulerClusterId: 1, features: ['schedule', 'preheat'] });
    expect(row.lastKeepAliveAt).toEqual(registry.clock.now());
    await expect(registry.schedulers.get('scheduler-1', '10.0.0.1', 1)).resolves.toMatchObject({
      scheduler: { id: row.id },
      cluster: { id: 1, name: 'cluster-1' },
    });
  });

  it('brings the row up to date when it registers again, with another port too, and leaves its state alone', async () => {
    const first = await registry.schedulers.register(aScheduler());
    await keepAlive();
    const again = await registry.schedulers.register(aScheduler({ port: 9_002, idc: 'idc-1', features: ['schedule'] }));
    expect(again).toMatchObject({ id: first.id, port: 9_002, idc: 'idc-1', features: ['schedule'], state: 'active' });
  });

  it('keeps schedulers apart by host name, ip and cluster', async () => {
    const ids = new Set<number>();
    for (const over of [{}, { hostname: 'scheduler-2' }, { ip: '10.0.0.9' }]) {
      ids.add((await registry.schedulers.register(aScheduler(over))).id);
    }
    expect(ids.size).toBe(3);
    await expect(registry.schedulers.get('scheduler-1', '10.0.0.9', 1)).resolves.toMatchObject({
      scheduler: { ip: '10.0.0.9' },
    });
  });

  it('refuses a cluster that does not exist', async () => {
    await expect(registry.schedulers.register(aScheduler({ clusterId: 7 }))).rejects.toMatchObject({
      code: 'not-found',
      message: 'scheduler cluster 7 does not exist',
    });
  });

  it('says record not found for an unknown scheduler, with the status of the original', async () => {
    const refusal = { code: 'internal', message: 'record not found' };
    await expect(registry.schedulers.get('nobody', '', 1)).rejects.toMatchObject(refusal);
    await expect(registry.schedulers.get('nobody', '', 9)).rejects.toMatchObject(refusal);
  });

  it('gives a scheduler the active seed peers of the linked clusters', async () => {
    await registry.schedulers.register(aScheduler());
    await registry.seedPeers.register(aSeedPeer());
    await registry.seedPeers.register(aSeedPeer({ hostname: 'seed-2' }));
    const lease = await registry.keepAlives.open({
      kind: 'seed-peer',
      hostname: 'seed-2',
      ip: '10.0.0.2',
      clusterId: 1,
    });
    await lease.close();
    const { seedPeers } = await registry.schedulers.get('scheduler-1', '', 1);
    expect(seedPeers.map(({ seedPeer }) => seedPeer.hostName)).toEqual(['seed-1']);
    expect(seedPeers[0]?.cluster.config).toEqual({ load_limit: 2000 });
  });

  it('offers active schedulers that schedule, best fitting clusters first', async () => {
    const other = await database.transaction((manager) =>
      insertRow(manager, SchedulerClusterEntity, registry.clock.now(), {
        name: 'cluster-2',
        config: {},
        clientConfig: {},
        seedClientConfig: {},
        scopes: { idc: 'idc-1|idc-2' },
        isDefault: false,
      }),
    );
    await registry.schedulers.register(aScheduler());
    await registry.schedulers.register(aScheduler({ hostname: 'scheduler-2', clusterId: other }));
    await registry.schedulers.register(aScheduler({ hostname: 'preheater', features: ['preheat'] }));
    await registry.schedulers.register(aScheduler({ hostname: 'asleep' }));
    for (const [hostname, clusterId] of [
      ['scheduler-1', 1],
      ['scheduler-2', other],
      ['preheater', 1],
    ] as const) {
      await keepAlive({ hostname, clusterId });
    }
    const names = async (idc: string): Promise<string[]> =>
      (await registry.schedulers.search({ ...client, idc })).flat().map(({ scheduler }) => scheduler.hostName);
    await expect(names('idc-2')).resolves.toEqual(['scheduler-2', 'scheduler-1']);
    await expect(names('idc-9')).resolves.toEqual(['scheduler-1', 'scheduler-2']);
  });

  it('lists every scheduler of a cluster that the client names, in any state', async () => {
    await registry.schedulers.register(aScheduler());
    await expect(registry.schedulers.ofCluster(1)).resolves.toMatchObject([{ scheduler: { state: 'inactive' } }]);
    await expect(registry.schedulers.ofCluster(5)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('seed peer registry', () => {
  it('registers a seed peer into its cluster by id, active at once (seed 001-5)', async () => {
    await expect(registry.seedPeers.register(aSeedPeer())).resolves.toMatchObject({
      seedPeer: { state: 'active', seedPeerClusterId: 1, port: 65_006, downloadPort: 65_008 },
      cluster: { name: 'cluster-1' },
    });
    await expect(registry.seedPeers.register(aSeedPeer({ clusterId: 4 }))).rejects.toMatchObject({
      code: 'not-found',
      message: 'seed peer cluster 4 does not exist',
    });
  });

  it('shows a seed peer the active schedulers that it serves', async () => {
    await registry.seedPeers.register(aSeedPeer());
    await registry.schedulers.register(aScheduler());
    await registry.schedulers.register(aScheduler({ hostname: 'asleep' }));
    await keepAlive();
    const found = await registry.seedPeers.get('seed-1', '', 1);
    expect(found.schedulers.map(({ scheduler }) => scheduler.hostName)).toEqual(['scheduler-1']);
    await expect(registry.seedPeers.get('seed-9', '', 1)).rejects.toMatchObject({ code: 'internal' });
  });

  it('lists the active neighbours of the asking seed peer', async () => {
    await registry.seedPeers.register(aSeedPeer());
    await registry.seedPeers.register(aSeedPeer({ hostname: 'seed-2', ip: '10.0.0.3' }));
    const found = await registry.seedPeers.neighbours('seed-2', '10.0.0.3');
    expect(found.map(({ seedPeer }) => seedPeer.hostName)).toEqual(['seed-1', 'seed-2']);
    await expect(registry.seedPeers.neighbours('stranger', '10.0.0.3')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('forgets a seed peer, and does not mind an unknown one', async () => {
    await registry.seedPeers.register(aSeedPeer());
    await registry.seedPeers.delete('seed-1', '10.0.0.2', 1);
    await registry.seedPeers.delete('seed-1', '10.0.0.2', 1);
    await expect(registry.seedPeers.get('seed-1', '10.0.0.2', 1)).rejects.toMatchObject({ code: 'internal' });
  });
});

it('finds the row that another manager inserted at the same moment', async () => {
  const rows = await Promise.all([aScheduler(), aScheduler()].map((one) => registry.schedulers.register(one)));
  expect(rows[0]?.id).toBe(rows[1]?.id);
  await expect(database.manager.count(SchedulerEntity)).resolves.toBe(1);
});
