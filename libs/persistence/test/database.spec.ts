import { readdirSync, statSync } from 'node:fs';
import { tempDir } from '@dragonfly/testkit';
import {
  accessTokenHash,
  ALL_PERMISSION_OBJECTS,
  AuditEntity,
  CasbinRuleEntity,
  ClusterLinkEntity,
  ConfigEntity,
  createDataSource,
  Database,
  ensureDefaultRows,
  insertAuditRows,
  insertRow,
  PersonalAccessTokenEntity,
  ROOT_OBJECTS,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  UserEntity,
  type DatabaseOptions,
} from '../src/index.js';
import { engines, stopEngines } from './databases.js';

afterAll(stopEngines);

const TABLES = [
  'application',
  'audit',
  'bandwidth',
  'casbin_rule',
  'certificate',
  'certificate_authority',
  'config',
  'job',
  'job_run',
  'job_scheduler_cluster',
  'job_seed_peer_cluster',
  'job_trigger',
  'join_token',
  'oauth',
  'peer',
  'personal_access_token',
  'queue_job',
  'queue_schedule',
  'scheduler',
  'scheduler_cluster',
  'seed_peer',
  'seed_peer_cluster',
  'seed_peer_cluster_scheduler_cluster',
  'user',
  'webhook_delivery',
  'work_fence',
];

async function migrated(options: DatabaseOptions): Promise<Database> {
  const database = await Database.open(options);
  await database.migrate();
  return database;
}

const NOW = new Date('2026-01-01T00:00:00.001Z');

function aScheduler(over: Partial<SchedulerEntity> = {}): Partial<SchedulerEntity> {
  return { hostName: 'h', ip: '10.0.0.1', port: 8002, config: {}, features: [], schedulerClusterId: 1, ...over };
}

describe.each(engines)('database on $name', ({ fresh, canCompareSchema }) => {
  let database: Database;
  let options: DatabaseOptions;

  beforeEach(async () => {
    options = await fresh();
    database = await migrated(options);
  });
  afterEach(() => database.close());

  it('makes every table of the original, and the entities match the migrations', async () => {
    const runner = database.dataSource.createQueryRunner();
    for (const table of TABLES) {
      await expect(runner.hasTable(table)).resolves.toBe(true);
    }
    await runner.release();
    if (!canCompareSchema) {
      return;
    }
    const difference = await database.dataSource.driver.createSchemaBuilder().log();
    expect(difference.upQueries.map((query) => query.query)).toEqual([]);
  });

  it('runs migrations again without effect, and undoes them', async () => {
    await database.migrate();
    for (let count = database.dataSource.migrations.length; count > 0; count -= 1) {
      await database.dataSource.undoLastMigration();
    }
    await database.migrate();
    await expect(database.manager.count(UserEntity)).resolves.toBe(0);
  });

  it('keeps JSON, dates to the millisecond, booleans and numbers as they are', async () => {
    const at = new Date('2026-03-01T12:34:56.789Z');
    await database.transaction(async (manager) => {
      await insertRow(manager, SchedulerClusterEntity, at, {
        name: 'späße',
        bio: null,
        config: { candidate_parent_limit: 4, nested: { a: [1, 'x'] } },
        clientConfig: {},
        seedClientConfig: {},
        scopes: undefined,
        isDefault: true,
      });
      await insertRow(
        manager,
        SchedulerEntity,
        NOW,
        aScheduler({ schedulerClusterId: 2 ** 40, features: ['schedule'] }),
      );
    });
    const cluster = await database.manager.findOneByOrFail(SchedulerClusterEntity, { name: 'späße' });
    expect(cluster).toMatchObject({
      id: 1,
      config: { candidate_parent_limit: 4, nested: { a: [1, 'x'] } },
      scopes: {},
      isDefault: true,
      isDel: 0,
      bio: null,
    });
    expect(cluster.createdAt).toEqual(at);
    const scheduler = await database.manager.findOneByOrFail(SchedulerEntity, { schedulerClusterId: 2 ** 40 });
    expect(scheduler).toMatchObject({ features: ['schedule'], state: 'inactive', schedulerClusterId: 2 ** 40 });
  });

  it('reads NULL and null in JSON columns as an empty object or list, as the original does', async () => {
    await database.transaction(async (manager) => {
      await insertRow(manager, SchedulerEntity, NOW, aScheduler());
      await manager.query(`UPDATE scheduler SET config = NULL, features = 'null'`);
      await manager.insert(AuditEntity, { actorType: '', actorName: '', eventType: '', operation: '', state: '' });
    });
    const row = await database.manager.findOneByOrFail(SchedulerEntity, { hostName: 'h' });
    expect(row.config).toEqual({});
    expect(row.features).toEqual([]);
    const audit = await database.manager.findOneByOrFail(AuditEntity, { state: '' });
    expect(audit.detail).toEqual({});
    expect(Math.abs((audit.operatedAt?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('writes audit entries in one statement, and reads them as any other row', async () => {
    const at = new Date('2026-03-01T12:34:56.000Z');
    const row = {
      createdAt: new Date('2026-03-01T12:34:56.789Z'),
      updatedAt: at,
      isDel: 0,
      actorType: 'USER',
      actorName: "o'hara; --",
      eventType: 'API',
      operation: 'GET',
      operatedAt: at,
      state: 'SUCCESS',
      path: '/späße',
      statusCode: 200,
      detail: { ip: '::1' },
    };
    await database.transaction((manager) =>
      insertAuditRows(
        manager,
        Array.from({ length: 1_000 }, () => row),
      ),
    );
    await database.transaction((manager) => insertAuditRows(manager, []));
    const written = await database.manager.find(AuditEntity, { order: { id: 'ASC' } });
    expect(written).toHaveLength(1_000);
    expect(written[999]).toEqual({ id: 1_000, ...row });
  });

  it('says already-exists for a second row with the same unique key', async () => {
    const insert = (): Promise<unknown> =>
      database.transaction((manager) => insertRow(manager, SchedulerEntity, NOW, aScheduler()));
    await insert();
    await expect(insert()).rejects.toMatchObject({ code: 'already-exists' });
  });

  it('takes back everything of a failed transaction and nothing of its neighbours', async () => {
    const failing = database.transaction(async (manager) => {
      await insertRow(manager, SchedulerEntity, NOW, aScheduler({ hostName: 'lost' }));
      await manager.find(SchedulerEntity);
      throw new Error('stop');
    });
    const neighbours = ['a', 'b', 'c'].map((hostName) =>
      database.transaction((manager) => insertRow(manager, SchedulerEntity, NOW, aScheduler({ hostName }))),
    );
    await expect(failing).rejects.toMatchObject({ code: 'internal' });
    await Promise.all(neighbours);
    const names = (await database.manager.find(SchedulerEntity)).map((row) => row.hostName);
    expect(names.sort()).toEqual(['a', 'b', 'c']);
  });

  it('refuses a transaction inside a transaction instead of waiting for itself', async () => {
    await expect(database.transaction(() => database.transaction(async () => 1))).rejects.toThrow(/inside/);
  });

  it('makes the default rows once, however many managers start at the same time', async () => {
    const others = [await Database.open(options), await Database.open(options)];
    const rows = { rootPasswordHash: async () => '$2b$10$x', personalAccessToken: 't'.repeat(48) };
    await Promise.all([database, ...others].map((one) => ensureDefaultRows(one, rows)));
    await ensureDefaultRows(database, rows);
    await Promise.all(others.map((one) => one.close()));

    const { manager } = database;
    await expect(manager.find(SchedulerClusterEntity)).resolves.toMatchObject([
      {
        id: 1,
        name: 'cluster-1',
        isDefault: true,
        config: { candidate_parent_limit: 3, filter_parent_limit: 15, job_rate_limit: 10 },
        clientConfig: { load_limit: 200 },
        seedClientConfig: {},
        scopes: {},
      },
    ]);
    await expect(manager.find(SeedPeerClusterEntity)).resolves.toMatchObject([
      { id: 1, name: 'cluster-1', config: { load_limit: 2000 } },
    ]);
    await expect(manager.find(ClusterLinkEntity)).resolves.toEqual([{ schedulerClusterId: 1, seedPeerClusterId: 1 }]);
    await expect(manager.find(UserEntity)).resolves.toMatchObject([
      { id: 1, name: 'root', state: 'enable', encryptedPassword: '$2b$10$x', email: '' },
    ]);
    await expect(manager.find(ConfigEntity)).resolves.toMatchObject([
      { name: 'gc', value: '{"audit":{"ttl":604800000000000},"job":{"ttl":21600000000000}}', userId: 0 },
    ]);
    await expect(manager.find(PersonalAccessTokenEntity)).resolves.toMatchObject([
      {
        name: 'default',
        token: accessTokenHash('t'.repeat(48)),
        scopes: ['job', 'cluster'],
        state: 'active',
        userId: 1,
      },
    ]);
    const rules = await manager.find(CasbinRuleEntity);
    expect(rules).toHaveLength(ALL_PERMISSION_OBJECTS.length * 2 + ROOT_OBJECTS.length + 1);
    expect(rules.at(0)).toMatchObject({ ptype: 'p', v0: 'root', v1: 'scheduler-clusters', v2: '*' });
    expect(rules.at(1)).toMatchObject({ ptype: 'p', v0: 'guest', v1: 'scheduler-clusters', v2: 'read' });
    expect(rules.at(-1)).toMatchObject({ ptype: 'g', v0: '1', v1: 'root' });
  });

  it('leaves rows that were changed or cleaned up by people alone', async () => {
    await ensureDefaultRows(database, { rootPasswordHash: async () => 'one' });
    await database.transaction((manager) => manager.update(ConfigEntity, { name: 'gc' }, { value: '{}' }));
    await ensureDefaultRows(database, {
      rootPasswordHash: () => Promise.reject(new Error('the hash is not needed')),
    });
    await expect(database.manager.findOneBy(ConfigEntity, { name: 'gc' })).resolves.toMatchObject({ value: '{}' });
  });

  it('migrates once when several managers start on the empty database', async () => {
    const empty = await fresh();
    const several = await Promise.all([Database.open(empty), Database.open(empty), Database.open(empty)]);
    if (several[0]?.dialect === 'mysql') {
      await Promise.all(several.map((one) => one.migrate()));
    } else {
      // A SQLite file has one manager; a second start finds the work done.
      for (const one of several) {
        await one.migrate();
      }
    }
    await expect(several[0]?.dataSource.query('SELECT * FROM dragonfly_migration')).resolves.toHaveLength(
      several[0]?.dataSource.migrations.length ?? 0,
    );
    await Promise.all(several.map((one) => one.close()));
  });

  it('adopts tables that are there, and refuses those that miss columns with their list', async () => {
    const adopted = await Database.open(await fresh());
    const keyType = adopted.dialect === 'sqlite' ? 'integer PRIMARY KEY' : 'bigint unsigned PRIMARY KEY AUTO_INCREMENT';
    await adopted.dataSource.query(`CREATE TABLE casbin_rule (id ${keyType}, ptype varchar(100))`);
    await expect(adopted.migrate()).rejects.toMatchObject({
      code: 'failed-precondition',
      details: {
        differences: ['v0', 'v1', 'v2', 'v3', 'v4', 'v5'].map((column) => ({
          table: 'casbin_rule',
          column,
          expected: 'varchar(100) null',
          found: 'none',
        })),
      },
    });
    for (const column of ['v0', 'v1', 'v2', 'v3', 'v4', 'v5']) {
      await adopted.dataSource.query(`ALTER TABLE casbin_rule ADD COLUMN ${column} varchar(100)`);
    }
    await adopted.dataSource.query(`INSERT INTO casbin_rule (id, ptype, v0, v1, v2) VALUES (7, 'p', 'x', 'y', 'z')`);
    await adopted.migrate();
    await expect(adopted.manager.find(CasbinRuleEntity)).resolves.toMatchObject([{ id: 7, v0: 'x' }]);
    await adopted.close();
  });
});

describe('a statement that takes too long', () => {
  it('fails as unavailable, and its connection is not used again', async () => {
    const [, mysql] = engines;
    if (!mysql) {
      console.warn('skip: no MariaDB here');
      return;
    }
    const options = { ...(await mysql.fresh()), queryTimeoutMs: 300, poolSize: 1 } as DatabaseOptions;
    const database = await Database.open(options);
    const slow = (): Promise<unknown> => database.transaction((manager) => manager.query('SELECT SLEEP(30)'));
    await expect(slow()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    // With one connection in the pool these would wait behind the slow one.
    await database.ping();
    await expect(database.manager.query('SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
    await database.close();
    // Waiting for the schema lock and migrating may take longer.
    const patient = await Database.open({ ...options, poolSize: 2 } as DatabaseOptions);
    await expect(patient.exclusively(() => patient.manager.query('SELECT SLEEP(0.5) AS slept'))).resolves.toEqual([
      { slept: 0 },
    ]);
    await patient.close();
  });
});

describe('opening', () => {
  it('tries again until the server answers, and gives up in time with unavailable', async () => {
    let retries = 0;
    const options = { type: 'mysql', host: '127.0.0.1', port: 1, user: 'u', password: 'p', database: 'd' } as const;
    await expect(Database.open(options, { connectRetryMs: 700, onRetry: () => (retries += 1) })).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(retries).toBeGreaterThanOrEqual(1);
  });

  it('makes a SQLite file that nobody else can read, for it holds password hashes and tokens', async () => {
    const directory = tempDir('sqlite-mode');
    const path = directory.file('manager.db');
    const database = await migrated({ type: 'sqlite', path });
    const modes = readdirSync(directory.path).map((name) => [name, statSync(directory.file(name)).mode & 0o777]);
    expect(modes).toEqual([
      ['manager.db', 0o600],
      ['manager.db-shm', 0o600],
      ['manager.db-wal', 0o600],
    ]);
    await database.close();
    directory.remove();
  });

  it('opens a SQLite file with write-ahead log, foreign keys and a busy timeout', async () => {
    const engine = engines[0];
    const dataSource = createDataSource(await (engine ? engine.fresh() : Promise.reject(new Error('no engine'))));
    await dataSource.initialize();
    await expect(dataSource.query('PRAGMA journal_mode')).resolves.toEqual([{ journal_mode: 'wal' }]);
    await expect(dataSource.query('PRAGMA foreign_keys')).resolves.toEqual([{ foreign_keys: 1 }]);
    await expect(dataSource.query('PRAGMA busy_timeout')).resolves.toEqual([{ timeout: 5000 }]);
    await dataSource.destroy();
  });
});
