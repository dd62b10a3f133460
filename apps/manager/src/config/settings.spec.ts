import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createMemoryKv } from '@dragonfly/kv';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { loadManagerSettings, type LoadSettingsOptions, type ManagerSettings } from './settings.js';
import { signingKey } from './signing-key.js';

let directory: TempDir;
beforeEach(() => {
  directory = tempDir('manager-config');
});
afterEach(() => directory.remove());

function load(yaml: string, over: Partial<LoadSettingsOptions> = {}): ManagerSettings {
  const file = directory.file('manager.yaml');
  writeFileSync(file, yaml);
  return loadManagerSettings({ file, env: {}, ...over });
}

describe('manager.yaml', () => {
  it('may be empty: SQLite in the data directory, key-value store in the process', () => {
    const settings = load('server: {workHome: /data}\n');
    expect(settings.database).toEqual({ type: 'sqlite', path: '/data/manager.db' });
    expect(settings.redis).toBeUndefined();
    expect(settings.warnings).toEqual([]);
    expect(settings.config.server.grpc.port.start).toBe(65_003);
    expect(settings.config.server.rest.addr).toBe(':8080');
    expect(settings.config.auth.jwt).toMatchObject({ timeout: 336 * 3_600_000, maxRefresh: 168 * 3_600_000 });
  });

  it('reads a file of the original with MySQL and Redis unchanged', () => {
    const settings = load(`
server:
  grpc: {advertiseIP: 10.0.0.5, port: {start: 65003, end: 65003}}
  rest: {addr: ':8080'}
  logLevel: info
auth:
  jwt: {realm: Dragonfly, key: a-key-of-our-own-0123456789, timeout: 48h, maxRefresh: 48h}
database:
  type: mysql
  mysql: {user: df, password: secret-of-ours, host: db, port: 3306, dbname: manager, migrate: true}
  redis: {addrs: ['cache:6379'], masterName: '', username: '', password: '', db: 0, brokerDB: 1, backendDB: 2}
cache: {redis: {ttl: 5m}, local: {size: 30000, ttl: 3m}}
job: {rateLimit: {fillInterval: 1m}, gc: {interval: 3h, ttl: 6h}, preheat: {registryTimeout: 1m, tls: {insecureSkipVerify: false}}, syncPeers: {interval: 24h}}
objectStorage:
metrics: {enable: true, addr: ':8000', enablePeerGauge: true}
network: {enableIPv6: false}
console: false
pprofPort: -1
tracing:
`);
    expect(settings.warnings).toEqual([]);
    expect(settings.database).toEqual({
      type: 'mysql',
      host: 'db',
      port: 3306,
      user: 'df',
      password: 'secret-of-ours',
      database: 'manager',
      queryTimeoutMs: 10_000,
    });
    expect(settings.redis).toMatchObject({ addresses: [{ host: 'cache', port: 6379 }], db: 0 });
    expect(settings.config.auth.jwt.timeout).toBe(48 * 3_600_000);
  });

  it('means MySQL when there is a mysql section and no type', () => {
    expect(load('database: {mysql: {user: u, host: h, password: own}}').database).toMatchObject({ type: 'mysql' });
  });

  it('keeps the object storage of v2.0.8 files (seed 000-12)', () => {
    const yaml = `
objectStorage:
  enable: true
  name: s3
  region: us-east-1
  endpoint: http://storage:9000
  accessKey: ak
  secretKey: sk
`;
    const settings = load(yaml);
    expect(settings.warnings).toEqual([]);
    expect(settings.config.objectStorage).toEqual({
      enable: true,
      name: 's3',
      region: 'us-east-1',
      endpoint: 'http://storage:9000',
      accessKey: 'ak',
      secretKey: 'sk',
      s3ForcePathStyle: true,
    });
  });

  it.each([
    ['objectStorage: {enable: true, name: s3, accessKey: a}', 'objectStorage.secretKey: is required'],
    ['objectStorage: {enable: true, accessKey: a, secretKey: b}', 'objectStorage.name: is required'],
    ['objectStorage: {name: ftp}', 'objectStorage.name: must be s3, oss or obs'],
    ['database: {type: postgres}', 'database.type: postgres is not supported here'],
    ['database: {type: oracle}', 'database.type: must be mysql, mariadb or sqlite'],
    ['database: {type: mysql}', 'database.mysql: host and user are required'],
    ['database: {redis: {addrs: [nonsense]}}', 'database.redis.addrs: "nonsense" must be host:port'],
    ['database: {redis: {addrs: ["a:1", "b:2"]}}', 'Redis Cluster is not supported'],
    ['server: {rest: {addr: "8080"}}', 'server.rest.addr: must be host:port'],
    ['server: {rest: {tls: {cert: /c}}}', 'server.rest.tls: must name the files cert, key'],
    ['server: {grpc: {port: {start: 70000}}}', 'server.grpc.port.start'],
    ['auth: {jwt: {timeout: 5}}', 'auth.jwt.timeout'],
  ])('refuses %s and names the key and the rule (seed 000-12)', (yaml, message) => {
    expect(() => load(yaml)).toThrow(message);
  });

  it.each([
    ['auth: {jwt: {key: ZHJhZ29uZmx5Cg==}}', 'auth.jwt.key'],
    ['database: {mysql: {host: h, user: u, password: dragonfly}}', 'database.mysql.password'],
    ['database: {redis: {addrs: ["r:1"], password: dragonfly}}', 'database.redis.password'],
  ])('refuses the public secret in %s but for test machines', (yaml, key) => {
    expect(() => load(yaml)).toThrow(key);
    expect(load(yaml, { insecureDev: true }).warnings.join()).toContain(key);
  });

  it('warns of an unknown key with the nearest one, and refuses it when strict', () => {
    expect(load('servr: {}\nserver: {rest: {adr: ":1"}}').warnings.join('\n')).toMatch(/adr: unknown key.*addr/);
    expect(() => load('server: {rest: {adr: ":1"}}', { strict: true })).toThrow('did you mean');
  });

  it.each([
    ['database: {redis: {proxy: {enable: true}}}', 'database.redis.proxy'],
    ['database: {redis: {poolSize: 41, poolTimeout: 10s}}', 'database.redis.poolSize'],
    ['database: {redis: {poolSize: 40, poolTimeout: 11s}}', 'database.redis.poolTimeout'],
    ['server: {pluginDir: /p}', 'server.pluginDir'],
    ['tracing: {protocol: grpc}', 'without tracing.endpoint'],
    ['tracing: {addr: "http://jaeger:14268/api/traces"}', 'tracing.addr'],
    ['pprofPort: 0', 'pprofPort'],
  ])('warns that %s has no effect', (yaml, key) => {
    expect(load(yaml).warnings).toEqual([expect.stringContaining(key)]);
  });

  it('lets the environment override keys', () => {
    const env = { DRAGONFLY_DATABASE__REDIS__ADDRS: '[redis:6379]', DRAGONFLY_SERVER__REST__ADDR: '127.0.0.1:1' };
    const settings = load('', { env });
    expect(settings.redis?.addresses).toEqual([{ host: 'redis', port: 6379 }]);
    expect(settings.config.server.rest.addr).toBe('127.0.0.1:1');
  });
});

describe('signing key', () => {
  it('is made once, readable by its owner only', async () => {
    const first = await signingKey('', directory.path);
    const again = await signingKey('', directory.path);
    expect(first.length).toBeGreaterThanOrEqual(48);
    expect(again).toEqual(first);
    expect(statSync(directory.file('jwt.key')).mode & 0o777).toBe(0o600);
  });

  it('is the configured one when there is one', async () => {
    await expect(signingKey('own key', directory.path)).resolves.toEqual(Buffer.from('own key'));
  });

  it('is the same for all managers that share a store, and each of them keeps it', async () => {
    const { store } = createMemoryKv();
    for (const name of ['a', 'b']) {
      mkdirSync(directory.file(name));
    }
    const [a, b] = [directory.file('a'), directory.file('b')];
    const keyOfA = await signingKey('', a, store);
    await expect(signingKey('', b, store)).resolves.toEqual(keyOfA);
    expect(readFileSync(`${b}/jwt.key`, 'utf8')).toBe(readFileSync(`${a}/jwt.key`, 'utf8'));
    await expect(signingKey('', b, createMemoryKv().store)).resolves.toEqual(keyOfA);
  });

  it('refuses a damaged file instead of signing with it', async () => {
    writeFileSync(directory.file('jwt.key'), 'short');
    await expect(signingKey('', directory.path)).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});
