import { readFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { Content, CountingOrigin, freePort, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { PEER_PROFILE, SEED_PROFILE, type RoleProfile } from '../src/index.js';
import { TestDaemon, type TestDaemonOptions } from './test-daemon.js';
import { TestManager } from './test-manager.js';
import { TestScheduler } from './test-scheduler.js';

jest.setTimeout(60_000);

let dir: TempDir;
let manager: TestManager;
let scheduler: TestScheduler;
let daemons: TestDaemon[];

beforeEach(async () => {
  dir = tempDir('peer');
  manager = await TestManager.start();
  scheduler = await TestScheduler.start();
  manager.schedulers = [{ hostname: 's1', ip: '127.0.0.1', port: scheduler.port }];
  daemons = [];
});

afterEach(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  await scheduler.stop();
  await manager.stop();
  dir.remove();
});

async function daemon(
  name: string,
  profile: RoleProfile,
  options: Partial<TestDaemonOptions> = {},
): Promise<TestDaemon> {
  const started = await TestDaemon.start({
    dir,
    name,
    profile,
    ...options,
    settings: {
      DRAGONFLY_MANAGER__ADDR: `http://127.0.0.1:${manager.port}`,
      DRAGONFLY_MANAGER__KEEP_ALIVE_INTERVAL: '100ms',
      ...options.settings,
    },
  });
  daemons.push(started);
  return started;
}

function ready(of: TestDaemon): Promise<void> {
  return of.engine.readiness.whenReady(AbortSignal.timeout(10_000));
}

describe.each([PEER_PROFILE, SEED_PROFILE])('a $name with a manager (seed 001-5)', (profile) => {
  it('asks it for schedulers and announces itself to them', async () => {
    const a = await daemon('a', profile, {
      settings: { DRAGONFLY_HOST__IDC: 'idc-1', DRAGONFLY_HOST__LOCATION: 'x|y' },
    });
    await ready(a);
    expect(manager.asked[0]).toMatchObject({
      sourceType: profile.managerSourceType,
      hostname: 'a',
      ip: '127.0.0.1',
      idc: 'idc-1',
      location: 'x|y',
      version: 'dfts-0.1.0',
    });
    expect(scheduler.hosts.get(a.hostId)).toMatchObject({
      type: profile.hostType,
      network: { idc: 'idc-1', location: 'x|y' },
    });
  });

  it('reads the block list of its role', async () => {
    const blocking = '{"block_list":{"task":{"download":{"tags":["no"]}}}}';
    manager[profile.isSeed ? 'seedClientConfig' : 'clientConfig'] = blocking;
    const a = await daemon('a', profile);
    await ready(a);
    await expect(a.get({ url: 'http://127.0.0.1:1/', tag: 'no' })).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(a.get({ url: 'http://127.0.0.1:1/' })).rejects.not.toMatchObject({ code: 'permission-denied' });
  });

  it(`${profile.registersAs === 'none' ? 'does not register' : 'registers and keeps its membership alive'}`, async () => {
    const a = await daemon('a', profile, { settings: { DRAGONFLY_MANAGER__SEED_PEER_CLUSTER_ID: '7' } });
    await ready(a);
    if (profile.registersAs === 'none') {
      expect(manager.registered).toEqual([]);
      return;
    }
    expect(manager.registered[0]).toMatchObject({
      sourceType: 2,
      hostname: 'a',
      type: 'super',
      ip: '127.0.0.1',
      port: a.uploadPort,
      downloadPort: a.uploadPort,
      seedPeerClusterId: 7n,
    });
    await waitFor(() => manager.keepAlives.length > 2, { what: 'keep-alive messages' });
    expect(manager.keepAlives[0]).toMatchObject({ sourceType: 2, hostname: 'a', clusterId: 7n, ip: '127.0.0.1' });
    await a.stop();
    await waitFor(() => manager.openKeepAlives === 0, { what: 'the end of the keep-alive' });
  });
});

describe('a seed peer', () => {
  it('stays ready while the manager is away, says so, and registers again when it is back', async () => {
    const a = await daemon('a', SEED_PROFILE);
    await ready(a);
    const { port } = manager;
    await manager.stop();
    const condition = () => a.engine.readiness.snapshot().conditions['manager-registered'];
    await waitFor(() => condition()?.detail?.startsWith('manager away'), { what: 'the loss of the registration' });
    expect(condition()?.ok).toBe(true);
    await manager.serve(port);
    await waitFor(() => manager.registered.length === 2, { what: 'the second registration', timeoutMs: 20_000 });
  });
});

describe('a peer', () => {
  it('starts before its manager and joins when it comes', async () => {
    const port = await freePort();
    const a = await daemon('a', PEER_PROFILE, { settings: { DRAGONFLY_MANAGER__ADDR: `127.0.0.1:${port}` } });
    expect(a.engine.readiness.ready).toBe(false);
    const late = await TestManager.start(port);
    late.schedulers = manager.schedulers;
    await a.engine.readiness.whenReady(AbortSignal.timeout(30_000));
    expect(scheduler.hosts.has(a.hostId)).toBe(true);
    await late.stop();
  });

  it('asks again soon while the cluster has no scheduler', async () => {
    const known = manager.schedulers;
    manager.schedulers = [];
    const a = await daemon('a', PEER_PROFILE);
    await waitFor(() => manager.asked.length > 0, { what: 'the first question' });
    manager.schedulers = known;
    await ready(a);
  });

  it('works with the schedulers of last time while the manager is away', async () => {
    const a = await daemon('a', PEER_PROFILE);
    await ready(a);
    await waitFor(() => readFile(dir.file('a', 'cache', 'dynconfig.json')), { what: 'the cache' });
    await a.stop();
    await manager.stop();
    const again = await daemon('a', PEER_PROFILE);
    await ready(again);
    expect(again.engine.readiness.snapshot().conditions['dynconfig']).toMatchObject({
      ok: true,
      detail: expect.stringContaining('from the disk') as unknown,
    });
  });

  it('uses only schedulers of the cluster of the first healthy one', async () => {
    const other = await TestScheduler.start();
    manager.schedulers = [
      { hostname: 's1', ip: '127.0.0.1', port: scheduler.port },
      { hostname: 'dead', ip: '127.0.0.1', port: await freePort() },
      { hostname: 's2', ip: '127.0.0.1', port: other.port },
    ];
    const a = await daemon('a', PEER_PROFILE);
    await ready(a);
    expect(a.engine.readiness.snapshot().conditions['scheduler-available']?.detail).toBe('2 usable');
    expect(other.hosts.has(a.hostId)).toBe(true);
    await other.stop();
  });
});

describe('a daemon with finished tasks', () => {
  const CONTENT = new Content(5 * 1024 * 1024);
  let origin: CountingOrigin;

  beforeEach(async () => {
    origin = await CountingOrigin.start();
  });

  afterEach(async () => {
    await origin.close();
  });

  /** What the scheduler was told without being asked for parents. */
  function announcedTasks(hostId: string): string[] {
    const announced = scheduler.peers
      .filter((peer) => peer.hostId === hostId && peer.end === 'finished')
      .filter(({ reports: [first] }) => first?.$case === 'registerPeerRequest' && first.value.download?.metadataOnly);
    // This scheduler, unlike real ones, hears of the same peer twice.
    return [...new Set(announced.map(({ taskId }) => taskId))];
  }

  it('is a parent again after its own restart', async () => {
    const url = origin.put('/file', CONTENT);
    const before = await daemon('a', PEER_PROFILE);
    await ready(before);
    const { taskId } = await before.get({ url, output: dir.file('1.out') });
    await before.stop();
    daemons.splice(0);
    scheduler.peers.splice(0);
    const after = await daemon('a', PEER_PROFILE);
    await waitFor(() => announcedTasks(after.hostId).length > 0, { what: 'the announcement of the task' });
    expect(announcedTasks(after.hostId)).toEqual([taskId]);
    const child = await daemon('b', PEER_PROFILE);
    await ready(child);
    const done = await child.get({ url, output: dir.file('2.out') });
    expect(done.traffic.fromPeers).toBe(CONTENT.lengthBytes);
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('tells them to a scheduler that has lost its memory, and not of what it has not got whole', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', PEER_PROFILE);
    await ready(a);
    const { taskId } = await a.get({ url, output: dir.file('1.out') });
    const range = { start: 0, length: 10 };
    await a.get({ url: origin.put('/other', new Content(10 * 1024 * 1024)), output: dir.file('2.out'), range });
    const { port } = scheduler;
    await scheduler.stop();
    scheduler.hosts.clear();
    scheduler.peers.splice(0);
    await scheduler.serve(port);
    await waitFor(() => announcedTasks(a.hostId).length > 0, { what: 'the announcement of the task' });
    expect(announcedTasks(a.hostId)).toEqual([taskId]);
  });
});
