import { type Database, SchedulerEntity, SeedPeerEntity } from '@dragonfly/persistence';
import { aRegistry, aScheduler, aSeedPeer, type Registry } from '../../test/a-registry.js';
import { aDatabase } from '../../test/sqlite-database.js';
import { DEFAULT_SILENCE_MS, silenceLimitMs, type InstanceKey } from './keep-alive.js';

const SCHEDULER: InstanceKey = { kind: 'scheduler', hostname: 'scheduler-1', ip: '10.0.0.1', clusterId: 1 };
const SEED: InstanceKey = { kind: 'seed-peer', hostname: 'seed-1', ip: '10.0.0.2', clusterId: 1 };

let database: Database;
let registry: Registry;

beforeEach(async () => {
  database = await aDatabase();
  registry = aRegistry(database);
  await registry.schedulers.register(aScheduler());
  await registry.seedPeers.register(aSeedPeer());
});
afterEach(() => database.close());

const schedulerRow = (): Promise<SchedulerEntity> => database.manager.findOneByOrFail(SchedulerEntity, {});
const seedRow = (): Promise<SeedPeerEntity> => database.manager.findOneByOrFail(SeedPeerEntity, {});

describe('keep-alive', () => {
  it('makes a scheduler active with the first message and inactive when its stream ends', async () => {
    const lease = await registry.keepAlives.open(SCHEDULER);
    expect(await schedulerRow()).toMatchObject({ state: 'active' });
    await lease.close();
    expect(await schedulerRow()).toMatchObject({ state: 'inactive' });
  });

  it('does the same for a seed peer', async () => {
    const lease = await registry.keepAlives.open(SEED);
    await lease.close();
    expect(await seedRow()).toMatchObject({ state: 'inactive' });
    await registry.keepAlives.open(SEED);
    expect(await seedRow()).toMatchObject({ state: 'active' });
  });

  it('notes the time of each message of a scheduler', async () => {
    const lease = await registry.keepAlives.open(SCHEDULER);
    registry.clock.advance(5_000);
    await lease.touch();
    expect((await schedulerRow()).lastKeepAliveAt).toEqual(registry.clock.now());
  });

  it('finds an instance without an ip by name and cluster', async () => {
    await registry.keepAlives.open({ ...SCHEDULER, ip: '' });
    expect(await schedulerRow()).toMatchObject({ state: 'active' });
  });

  it.each([SCHEDULER, SEED])('says record not found for an instance that did not register: %j', async (key) => {
    await expect(registry.keepAlives.open({ ...key, hostname: 'stranger' })).rejects.toMatchObject({
      code: 'internal',
      message: 'record not found',
    });
  });

  it('says record not found at the next message once the instance was deleted, so that it registers again', async () => {
    const lease = await registry.keepAlives.open(SEED);
    await registry.seedPeers.delete('seed-1', '10.0.0.2', 1);
    await expect(lease.touch()).rejects.toMatchObject({ code: 'internal', message: 'record not found' });
    await lease.close();
  });

  it('leaves an instance active when it has a newer stream at another manager', async () => {
    const other = aRegistry(database, registry);
    const old = await registry.keepAlives.open(SCHEDULER);
    const newer = await other.keepAlives.open(SCHEDULER);
    await old.close();
    expect(await schedulerRow()).toMatchObject({ state: 'active' });
    await newer.close();
    expect(await schedulerRow()).toMatchObject({ state: 'inactive' });
  });

  it('leaves instances active when the manager stops: they go on elsewhere or after its restart', async () => {
    const lease = await registry.keepAlives.open(SCHEDULER);
    registry.keepAlives.stop();
    await lease.close();
    expect(await schedulerRow()).toMatchObject({ state: 'active' });
  });

  it.each([
    ['three intervals', 10e9, 30_000],
    ['at least 15 s', 1e9, 15_000],
    ['at most an hour', 1e16, 3_600_000],
    ['a minute for nonsense', 'x', DEFAULT_SILENCE_MS],
    ['a minute when nothing is said', undefined, DEFAULT_SILENCE_MS],
  ])('allows a silence of %s', (_name, interval, expected) => {
    expect(silenceLimitMs({ manager_keep_alive_interval: interval })).toBe(expected);
  });
});

describe('sweeper', () => {
  it('finds instances whose manager died with their streams', async () => {
    await registry.keepAlives.open(SCHEDULER);
    await registry.keepAlives.open(SEED);
    registry.clock.advance(14_000);
    await expect(registry.sweeper.sweep()).resolves.toEqual({ silenced: 0, forgotten: 0 });
    registry.clock.advance(2_000);
    await expect(registry.sweeper.sweep()).resolves.toEqual({ silenced: 1, forgotten: 0 });
    expect(await schedulerRow()).toMatchObject({ state: 'inactive' });
    registry.clock.advance(60_000);
    await expect(registry.sweeper.sweep()).resolves.toEqual({ silenced: 1, forgotten: 0 });
    expect(await seedRow()).toMatchObject({ state: 'inactive' });
  });

  it('leaves a seed peer alone while its stream is alive', async () => {
    const lease = await registry.keepAlives.open(SEED);
    for (let minute = 0; minute < 5; minute += 1) {
      registry.clock.advance(50_000);
      await lease.touch();
      await registry.sweeper.sweep();
    }
    expect(await seedRow()).toMatchObject({ state: 'active' });
  });

  it('forgets what has been inactive for half an hour', async () => {
    await (await registry.keepAlives.open(SCHEDULER)).close();
    const seedLease = await registry.keepAlives.open(SEED);
    registry.clock.advance(29 * 60_000);
    await seedLease.touch();
    await expect(registry.sweeper.sweep()).resolves.toMatchObject({ forgotten: 0 });
    registry.clock.advance(2 * 60_000);
    await seedLease.touch();
    await expect(registry.sweeper.sweep()).resolves.toEqual({ silenced: 0, forgotten: 1 });
    await expect(database.manager.count(SchedulerEntity)).resolves.toBe(0);
    await expect(database.manager.count(SeedPeerEntity)).resolves.toBe(1);
  });

  it('runs at one manager at a time', async () => {
    const held = await registry.kv.lock.acquire('manager:instance-sweep');
    await expect(registry.sweeper.sweep()).resolves.toBe('busy');
    await held?.release();
  });
});
