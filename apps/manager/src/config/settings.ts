import { homedir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { loadConfig } from '@dragonfly/config';
import { DfError } from '@dragonfly/errors';
import { type RedisKvOptions, redisPlaceOf } from '@dragonfly/kv';
import { hostPort } from '@dragonfly/rpc';
import type { DatabaseOptions } from '@dragonfly/persistence';
import { tracingWarnings } from '@dragonfly/telemetry/tracing';
import { checkKnownSecrets } from './known-secrets.js';
import { managerConfigSchema, type ManagerConfig } from './manager-config.js';

export const DEFAULT_CONFIG_FILE = '/etc/dragonfly/manager.yaml';

/** What the command line and the environment say beside the file. */
export interface LoadSettingsOptions {
  file?: string;
  env: NodeJS.ProcessEnv;
  /** Makes unknown keys errors. */
  strict?: boolean;
  /** Lets known public secrets pass with a warning. */
  insecureDev?: boolean;
}

/** The configuration as the program uses it. */
export interface ManagerSettings {
  config: ManagerConfig;
  file?: string;
  warnings: string[];
  /** Directory of the signing key and, by default, of the SQLite file. */
  dataDirectory: string;
  database: DatabaseOptions;
  /** Whether the schema is migrated at start. */
  migrates: boolean;
  /** Undefined = the key-value store inside this process. */
  redis?: RedisKvOptions;
}

/** @throws DfError `invalid-argument` with one line per problem */
export function loadManagerSettings(options: LoadSettingsOptions): ManagerSettings {
  const { config, file, warnings } = loadConfig({
    schema: managerConfigSchema,
    file: options.file,
    defaultFiles: [DEFAULT_CONFIG_FILE],
    env: options.env,
    strict: options.strict,
  });
  const insecure = checkKnownSecrets(config, options.insecureDev ?? false);
  const dataDirectory = config.server.workHome || config.server.dataDir || defaultDataDirectory(options.env);
  return {
    config,
    file,
    warnings: [...warnings, ...insecure, ...withoutEffect(config), ...tracingWarnings(config.tracing)],
    dataDirectory,
    database: databaseOptions(config, dataDirectory),
    migrates: config.database.mysql?.migrate ?? true,
    redis: redisOptions(config),
  };
}

/** The original's defaults, which published templates spell out. */
const ORIGINAL_POOL = { size: 40, timeoutMs: 10_000 } as const;

/** Keys of the original that are set here and change nothing; each with what to do instead. */
function withoutEffect(config: ManagerConfig): string[] {
  const { redis } = config.database;
  const found: [boolean, string][] = [
    [
      redis.proxy?.enable === true,
      'database.redis.proxy: there is no Redis proxy; let schedulers reach Redis directly',
    ],
    [
      (redis.poolSize ?? ORIGINAL_POOL.size) !== ORIGINAL_POOL.size,
      'database.redis.poolSize: there is no pool, one connection carries all commands at once',
    ],
    [
      (redis.poolTimeout ?? ORIGINAL_POOL.timeoutMs) !== ORIGINAL_POOL.timeoutMs,
      'database.redis.poolTimeout: there is no pool that a command could wait for',
    ],
    [config.server.pluginDir !== '', 'server.pluginDir: searcher plugins are not supported'],
    [
      Boolean(config.tracing?.addr),
      'tracing.addr: Jaeger is not spoken; set tracing.protocol and tracing.endpoint (OTLP)',
    ],
    [config.pprofPort >= 0, 'pprofPort: there is no pprof; use the inspector of Node (node --inspect)'],
  ];
  return found.filter(([isSet]) => isSet).map(([, text]) => `${text} (the key has no effect)`);
}

function defaultDataDirectory(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) {
    return '/var/lib/dragonfly/manager';
  }
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'dragonfly', 'manager');
}

function databaseOptions(config: ManagerConfig, dataDirectory: string): DatabaseOptions {
  const { type, sqlite, mysql } = config.database;
  // A file of the original may leave the type out and means MySQL; without any database section it is the embedded one.
  const chosen = type ?? (mysql ? 'mysql' : 'sqlite');
  if (chosen === 'sqlite') {
    return { type: 'sqlite', path: sqlite.path || join(dataDirectory, 'manager.db') };
  }
  if (!mysql?.host || !mysql.user) {
    throw new DfError('invalid-argument', `database.mysql: host and user are required for database.type ${chosen}`);
  }
  const { tls, tlsConfig } = mysql;
  return {
    type: chosen === 'mariadb' ? 'mariadb' : 'mysql',
    host: mysql.host,
    port: mysql.port,
    user: mysql.user,
    password: mysql.password,
    database: mysql.dbname,
    queryTimeoutMs: mysql.queryTimeout,
    ...(tls || !['', 'false'].includes(tlsConfig)
      ? { tls: tlsOptions(tls ?? {}, tlsConfig === 'skip-verify' || tlsConfig === 'preferred') }
      : {}),
  };
}

function redisOptions(config: ManagerConfig): RedisKvOptions | undefined {
  const { redis } = config.database;
  const addrs = redis.addrs.length === 0 && redis.host ? [hostPort(redis.host, redis.port ?? 6379)] : redis.addrs;
  const place = redisPlaceOf({ ...redis, addrs });
  return place && { ...place, db: redis.db };
}

interface TlsFiles {
  caCert?: string;
  cert?: string;
  key?: string;
  insecureSkipVerify?: boolean;
}

function tlsOptions(
  files: TlsFiles,
  skipVerify: boolean,
): { ca?: string; cert?: string; key?: string; rejectUnauthorized: boolean } {
  return {
    ca: readOptional(files.caCert),
    cert: readOptional(files.cert),
    key: readOptional(files.key),
    rejectUnauthorized: !(skipVerify || files.insecureSkipVerify),
  };
}

function readOptional(file: string | undefined): string | undefined {
  return file ? readFileSync(file, 'utf8') : undefined;
}
