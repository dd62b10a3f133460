import { KeyValueStore } from '@dragonfly/kv';
import { commonV2, managerV2 } from '@dragonfly/proto';
import { ApplicationEntity, Database, insertRow, SchedulerClusterEntity } from '@dragonfly/persistence';
import { unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { status, type ClientWritableStream } from '@grpc/grpc-js';
import { leaseKey } from '../src/instances/keep-alive.js';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const { SourceType } = managerV2;
const call = { deadlineMs: 10_000 };
const scheduler = {
  sourceType: SourceType.SCHEDULER_SOURCE,
  hostname: 'scheduler-1',
  ip: '127.0.0.1',
  port: 8002,
  schedulerClusterId: 1n,
  config: Buffer.from('{"manager_keep_alive_interval":5000000000}'),
};
const seedPeer = {
  sourceType: SourceType.SEED_PEER_SOURCE,
  hostname: 'seed-1',
  type: 'super',
  ip: '127.0.0.1',
  port: 65_006,
  downloadPort: 65_008,
  seedPeerClusterId: 1n,
};
const peer = { sourceType: SourceType.PEER_SOURCE, hostname: 'peer-1', ip: '10.2.3.4', version: '1.5.10', commit: '' };

interface KeepAlive {
  stream: ClientWritableStream<managerV2.KeepAliveRequest>;
  /** Resolves with the status that the call ends with. */
  ended: Promise<number>;
}

function keepAlive(
  manager: RunningManager,
  of: { sourceType: managerV2.SourceType; hostname: string; ip: string },
): KeepAlive {
  const ended = Promise.withResolvers<number>();
  const stream = manager.grpc.keepAlive((error) => ended.resolve(error?.code ?? status.OK));
  stream.write({ sourceType: of.sourceType, hostname: of.hostname, ip: of.ip, clusterId: 1n });
  return { stream, ended: ended.promise };
}

const get = (manager: RunningManager): Promise<managerV2.Scheduler> =>
  unary(
    manager.grpc.getScheduler.bind(manager.grpc),
    { sourceType: SourceType.SCHEDULER_SOURCE, hostname: 'scheduler-1', ip: '127.0.0.1', schedulerClusterId: 1n },
    call,
  );
const register = (manager: RunningManager, over: object = {}): Promise<managerV2.Scheduler> =>
  unary(manager.grpc.updateScheduler.bind(manager.grpc), { ...scheduler, ...over }, call);
const registerSeedPeer = (manager: RunningManager, over: object = {}): Promise<managerV2.SeedPeer> =>
  unary(manager.grpc.updateSeedPeer.bind(manager.grpc), { ...seedPeer, ...over }, call);
const list = async (manager: RunningManager, over: object = {}): Promise<managerV2.Scheduler[]> =>
  (await unary(manager.grpc.listSchedulers.bind(manager.grpc), { ...peer, ...over }, call)).schedulers;
const stateIs = (manager: RunningManager, state: string): Promise<unknown> =>
  waitFor(async () => (await get(manager)).state === state, { what: `scheduler to be ${state}` });

describe.each(engines)('manager.v2 on $name', ({ freshDatabase }) => {
  let database: object;
  let workHome: string;
  let manager: RunningManager;

  beforeEach(async () => {
    database = await freshDatabase();
    workHome = freshDirectory();
    manager = await RunningManager.start(database, workHome);
  });
  afterEach(() => manager.stop());

  it('registers a scheduler by its cluster id and makes it active with its keep-alive (seed 001-5)', async () => {
    await expect(register(manager)).resolves.toMatchObject({
      hostname: 'scheduler-1',
      port: 8002,
      state: 'inactive',
      schedulerClusterId: 1n,
    });
    await expect(list(manager)).resolves.toEqual([]);
    const { stream, ended } = keepAlive(manager, scheduler);
    await stateIs(manager, 'active');
    await expect(list(manager)).resolves.toMatchObject([{ hostname: 'scheduler-1', state: 'active' }]);
    stream.end();
    await expect(ended).resolves.toBe(status.OK);
    await stateIs(manager, 'inactive');
    await expect(list(manager)).resolves.toEqual([]);
  });

  it('notices a keep-alive stream that breaks', async () => {
    await register(manager);
    const { stream, ended } = keepAlive(manager, scheduler);
    await stateIs(manager, 'active');
    stream.cancel();
    await ended;
    await stateIs(manager, 'inactive');
  });

  it('registers a seed peer by its cluster id, active at once, and shows it to schedulers (seed 001-5)', async () => {
    await register(manager);
    await expect(registerSeedPeer(manager)).resolves.toMatchObject({
      hostname: 'seed-1',
      state: 'active',
      seedPeerClusterId: 1n,
    });
    const { seedPeers, schedulerCluster, features } = await get(manager);
    expect(seedPeers).toMatchObject([{ hostname: 'seed-1', ip: '127.0.0.1', port: 65_006, downloadPort: 65_008 }]);
    expect(JSON.parse(String(seedPeers[0]?.seedPeerCluster?.config))).toEqual({ load_limit: 2000 });
    expect(JSON.parse(String(schedulerCluster?.config))).toEqual({
      candidate_parent_limit: 3,
      filter_parent_limit: 15,
      job_rate_limit: 10,
    });
    expect(JSON.parse(String(schedulerCluster?.clientConfig))).toEqual({ load_limit: 200 });
    expect(schedulerCluster?.seedClientConfig).toHaveLength(0);
    expect(JSON.parse(String(features))).toEqual(['schedule', 'preheat']);

    const { stream, ended } = keepAlive(manager, seedPeer);
    await unary(
      manager.grpc.deleteSeedPeer.bind(manager.grpc),
      { sourceType: SourceType.SEED_PEER_SOURCE, hostname: 'seed-1', ip: '127.0.0.1', seedPeerClusterId: 1n },
      call,
    );
    await expect(get(manager)).resolves.toMatchObject({ seedPeers: [] });
    // The next message tells the seed peer that it must register again.
    stream.write({ sourceType: SourceType.SEED_PEER_SOURCE, hostname: 'seed-1', ip: '127.0.0.1', clusterId: 1n });
    await expect(ended).resolves.toBe(status.INTERNAL);
  });

  it('lists schedulers of the best fitting cluster first, with their clusters (seed 003-1)', async () => {
    const rows = manager.app.get(Database);
    const cidrCluster = await rows.transaction((entities) =>
      insertRow(entities, SchedulerClusterEntity, new Date(), {
        name: 'by-cidr',
        config: {},
        clientConfig: { block_list: {} },
        seedClientConfig: { block_list: { task: {} } },
        scopes: { cidrs: ['10.2.0.0/16'] },
        isDefault: false,
      }),
    );
    // A cluster that no manager told about: seen when the cached clusters are next changed.
    await register(manager);
    await register(manager, { hostname: 'scheduler-2', schedulerClusterId: BigInt(cidrCluster) });
    const streams = [keepAlive(manager, scheduler)];
    const second = manager.grpc.keepAlive(() => undefined);
    second.on('error', () => undefined);
    second.write({
      sourceType: SourceType.SCHEDULER_SOURCE,
      hostname: 'scheduler-2',
      ip: '127.0.0.1',
      clusterId: BigInt(cidrCluster),
    });
    await waitFor(async () => (await list(manager)).length === 2, { what: 'both schedulers' });
    const found = await list(manager);
    expect(found.map((one) => one.hostname)).toEqual(['scheduler-2', 'scheduler-1']);
    expect(JSON.parse(String(found[0]?.schedulerCluster?.seedClientConfig))).toEqual({ block_list: { task: {} } });
    const elsewhere = await list(manager, { ip: '10.3.0.1' });
    expect(elsewhere.map((one) => one.hostname)).toEqual(['scheduler-1', 'scheduler-2']);
    const byId = await list(manager, { schedulerClusterId: BigInt(cidrCluster) });
    expect(byId.map((one) => one.hostname)).toEqual(['scheduler-2']);
    second.cancel();
    streams[0]?.stream.cancel();
  });

  it('shows a seed peer its schedulers and its neighbours', async () => {
    await register(manager);
    const { stream } = keepAlive(manager, scheduler);
    await stateIs(manager, 'active');
    await registerSeedPeer(manager);
    await registerSeedPeer(manager, { hostname: 'seed-2' });
    const own = await unary(
      manager.grpc.getSeedPeer.bind(manager.grpc),
      { sourceType: SourceType.SEED_PEER_SOURCE, hostname: 'seed-1', ip: '127.0.0.1', seedPeerClusterId: 1n },
      call,
    );
    expect(own.schedulers.map((one) => one.hostname)).toEqual(['scheduler-1']);
    const { seedPeers } = await unary(
      manager.grpc.listSeedPeers.bind(manager.grpc),
      { sourceType: SourceType.SEED_PEER_SOURCE, hostname: 'seed-1', ip: '127.0.0.1' },
      call,
    );
    expect(seedPeers.map((one) => one.hostname)).toEqual(['seed-1', 'seed-2']);
    stream.cancel();
  });

  it('lists applications with their priorities', async () => {
    const ask = (): Promise<managerV2.ListApplicationsResponse> =>
      unary(
        manager.grpc.listApplications.bind(manager.grpc),
        { sourceType: SourceType.SCHEDULER_SOURCE, hostname: 'scheduler-1', ip: '127.0.0.1' },
        call,
      );
    await expect(ask()).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining('application') });
    await manager.app.get(Database).transaction((rows) =>
      insertRow(rows, ApplicationEntity, new Date(), {
        name: 'app',
        url: 'https://example.com',
        priority: { value: 3, urls: [{ regex: 'blobs', value: 6 }] },
        userId: 1,
      }),
    );
    await expect(ask()).resolves.toMatchObject({
      applications: [
        {
          name: 'app',
          priority: {
            value: commonV2.Priority.LEVEL3,
            urls: [{ regex: 'blobs', value: commonV2.Priority.LEVEL6 }],
          },
        },
      ],
    });
  });

  it.each([
    ['an unknown cluster', { schedulerClusterId: 42n }, 'not-found', /scheduler cluster 42 does not exist/],
    ['cluster 0', { schedulerClusterId: 0n }, 'invalid-argument', /scheduler_?cluster_?id/i],
    ['a bad ip', { ip: 'x' }, 'invalid-argument', /ip/i],
    ['a bad port', { port: 80 }, 'invalid-argument', /port/i],
    ['a config that is no JSON', { config: Buffer.from('{') }, 'invalid-argument', /Config/],
  ])('refuses a scheduler with %s', async (_name, over, code, message) => {
    await expect(register(manager, over)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('says record not found with the status of the original', async () => {
    await expect(get(manager)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('record not found'),
    });
    const { ended } = keepAlive(manager, scheduler);
    await expect(ended).resolves.toBe(status.INTERNAL);
  });

  it('shows changes of the REST API at once', async () => {
    await register(manager);
    await get(manager);
    await manager.signIn();
    await manager.request('PATCH', '/api/v1/scheduler-clusters/1', { client_config: { load_limit: 77 } });
    expect(JSON.parse(String((await get(manager)).schedulerCluster?.clientConfig))).toEqual({ load_limit: 77 });
  });

  it('keeps everything over a restart, and a stop leaves instances active that will come back', async () => {
    await register(manager);
    await registerSeedPeer(manager);
    const { ended } = keepAlive(manager, scheduler);
    await stateIs(manager, 'active');
    const { token } = (await manager.signIn()).body as { token: string };
    await manager.stop();
    await expect(ended).resolves.toBe(status.UNAVAILABLE);

    manager = await RunningManager.start(database, workHome);
    await expect(get(manager)).resolves.toMatchObject({ state: 'active', seedPeers: [{ hostname: 'seed-1' }] });
    const answer = await manager.request('GET', '/api/v1/clusters', undefined, { authorization: `Bearer ${token}` });
    expect(answer).toMatchObject({ status: 200, body: [{ name: 'cluster-1' }] });
  });

  it('stops within its grace while keep-alive streams are open', async () => {
    await register(manager);
    const { stream } = keepAlive(manager, scheduler);
    stream.on('error', () => undefined);
    await stateIs(manager, 'active');
    const startedAtMs = performance.now();
    await manager.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(4_000);
    manager = await RunningManager.start(database, workHome);
  });
});

const shared = engines.find((engine) => engine.name.includes('Redis'));
(shared ? describe : describe.skip)('two managers on one database', () => {
  const managers: RunningManager[] = [];
  afterEach(async () => {
    await Promise.all(managers.splice(0).map((manager) => manager.stop()));
  });

  it('see each other, and a scheduler goes from one to the other without becoming inactive', async () => {
    const database = (await shared?.freshDatabase()) ?? {};
    const [one, other] = await Promise.all([RunningManager.start(database), RunningManager.start(database)]);
    managers.push(one, other);
    const { id } = await register(one);
    await expect(get(other)).resolves.toMatchObject({ state: 'inactive' });
    const holder = (): Promise<string | undefined> => one.app.get(KeyValueStore).get(leaseKey('scheduler', Number(id)));

    const first = keepAlive(one, scheduler);
    await stateIs(other, 'active');
    const before = await holder();
    const second = keepAlive(other, scheduler);
    await waitFor(async () => (await holder()) !== before, { what: 'the second stream to take over' });
    first.stream.end();
    await expect(first.ended).resolves.toBe(status.OK);
    await expect(get(one)).resolves.toMatchObject({ state: 'active' });

    second.stream.end();
    await second.ended;
    await stateIs(one, 'inactive');
  });

  it('take sessions of each other', async () => {
    const database = (await shared?.freshDatabase()) ?? {};
    for (const manager of await Promise.all([RunningManager.start(database), RunningManager.start(database)])) {
      managers.push(manager);
    }
    const { token } = ((await managers[0]?.signIn())?.body ?? {}) as { token?: string };
    const answer = await managers[1]?.request('GET', '/api/v1/clusters', undefined, {
      authorization: `Bearer ${token}`,
    });
    expect(answer).toMatchObject({ status: 200 });
  });
});
