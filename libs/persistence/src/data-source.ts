import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { Dialect } from './columns.js';
import { entitySchemas } from './entity-schemas.js';
import { mysqlDriver } from './mysql-timeouts.js';
import { InitialSchema1763683200000 } from './migrations/1763683200000-initial-schema.js';
import { Jobs1763710000000 } from './migrations/1763710000000-jobs.js';
import { Certificates1763720000000 } from './migrations/1763720000000-certificates.js';
import { AccessTables1763704800000 } from './migrations/1763704800000-access-tables.js';
import { PeerListing1763730000000 } from './migrations/1763730000000-peer-listing.js';
import { CharacterSet1763740000000 } from './migrations/1763740000000-character-set.js';
import { WorkFences1763745000000 } from './migrations/1763745000000-work-fences.js';

/** A SQLite file of this process. */
export interface SqliteOptions {
  type: 'sqlite';
  /** Path of the file, made when absent with its directory; or `:memory:`. */
  path: string;
}

/** A MySQL or MariaDB database. */
export interface MysqlOptions {
  type: 'mysql' | 'mariadb';
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  tls?: SecureContextOptions & { rejectUnauthorized?: boolean };
  /** Most connections at once. @default 10 */
  poolSize?: number;
  /** Longest wait for a connection to be made, in ms. @default 10000 */
  connectTimeoutMs?: number;
  /** Longest wait for the answer to a statement, in ms; its connection is closed then. @default 10000 */
  queryTimeoutMs?: number;
}

export type DatabaseOptions = SqliteOptions | MysqlOptions;

/** How long a statement waits for the lock of another process on the SQLite file, in ms. */
const SQLITE_BUSY_TIMEOUT_MS = 5_000;
/** Mode of a SQLite file that is made here. */
const SQLITE_FILE_MODE = 0o600;
/** Most statements that wait for a free connection; further ones fail at once. */
const MYSQL_QUEUE_LIMIT = 1_000;

/** MariaDB and MySQL are one dialect. */
export function dialectOf(options: DatabaseOptions): Dialect {
  return options.type === 'sqlite' ? 'sqlite' : 'mysql';
}

/** Builds the data source; nothing is opened before `initialize()`, but for the directory of a SQLite file. */
export function createDataSource(options: DatabaseOptions): DataSource {
  return new DataSource(dataSourceOptions(options));
}

function dataSourceOptions(options: DatabaseOptions): DataSourceOptions {
  const shared = {
    entities: entitySchemas(dialectOf(options)),
    migrations: [
      InitialSchema1763683200000,
      AccessTables1763704800000,
      Jobs1763710000000,
      Certificates1763720000000,
      PeerListing1763730000000,
      CharacterSet1763740000000,
      WorkFences1763745000000,
    ],
    migrationsTableName: 'dragonfly_migration',
    synchronize: false,
  };
  if (options.type === 'sqlite') {
    if (options.path !== ':memory:') {
      mkdirSync(dirname(resolve(options.path)), { recursive: true, mode: 0o700 });
      // Made before SQLite makes it: it holds password hashes and tokens. The files of its log get the same mode.
      closeSync(openSync(options.path, 'a', SQLITE_FILE_MODE));
    }
    return {
      ...shared,
      type: 'better-sqlite3',
      database: options.path,
      enableWAL: options.path !== ':memory:',
      timeout: SQLITE_BUSY_TIMEOUT_MS,
      prepareDatabase: (database: { pragma(text: string): unknown }) => {
        database.pragma('foreign_keys = ON');
        // With WAL this loses nothing at a crash of the process; a power cut may lose the last transactions, not more.
        database.pragma('synchronous = NORMAL');
      },
    };
  }
  return {
    ...shared,
    type: options.type,
    host: options.host,
    port: options.port,
    username: options.user,
    password: options.password,
    database: options.database,
    driver: mysqlDriver(options.queryTimeoutMs ?? 10_000),
    charset: 'utf8mb4',
    timezone: 'Z',
    poolSize: options.poolSize ?? 10,
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    ...(options.tls ? { ssl: options.tls } : {}),
    extra: { queueLimit: MYSQL_QUEUE_LIMIT },
  };
}
