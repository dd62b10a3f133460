import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import type mysql2 from 'mysql2';

/** Work that may take as long as it takes: waiting for the schema lock, changing great tables. */
const patient = new AsyncLocalStorage<true>();

/** Statements of the work have no timeout. */
export function withoutQueryTimeout<T>(work: () => Promise<T>): Promise<T> {
  return patient.run(true, work);
}

const TIMEOUT_CODE = 'PROTOCOL_SEQUENCE_TIMEOUT';

/** Longest wait for the server's farewell when the pool is closed. */
const CLOSE_TIMEOUT_MS = 3_000;

/** The parts of a connection that are touched here. */
interface TimedConnection {
  query(sql: unknown, ...more: unknown[]): unknown;
  destroy(): void;
}

type Callback = (error: { code?: string } | null, ...more: unknown[]) => void;

/**
 * The MySQL driver with a timeout for every statement of its pools. A connection whose statement did not end in time is
 * closed: the server may never answer on it, and whatever came next would wait behind.
 * @param timeoutMs longest silence of the server during a statement
 */
export function mysqlDriver(timeoutMs: number): typeof mysql2 {
  // Loaded by those who use it: a manager on SQLite does without its megabytes.
  const driver = createRequire(import.meta.url)('mysql2') as typeof mysql2;
  return {
    ...driver,
    createPool: ((options: mysql2.PoolOptions) => {
      const pool = driver.createPool(options);
      const connections = new Set<TimedConnection>();
      pool.on('connection', (connection) => {
        const timed = connection as unknown as TimedConnection;
        timeStatements(timed, timeoutMs);
        connections.add(timed);
        connection.on('end', () => connections.delete(timed));
      });
      boundEnd(pool, connections);
      return pool;
    }) as typeof mysql2.createPool,
  };
}

function timeStatements(connection: TimedConnection, timeoutMs: number): void {
  const query = connection.query.bind(connection);
  connection.query = (sql, ...more) => {
    const callback = more.pop();
    if (patient.getStore() || typeof sql !== 'string' || typeof callback !== 'function') {
      return query(sql, ...more, callback);
    }
    const done: Callback = (error, ...rest) => {
      if (error?.code === TIMEOUT_CODE) {
        connection.destroy();
      }
      (callback as Callback)(error, ...rest);
    };
    return query({ sql, timeout: timeoutMs }, ...more, done);
  };
}

/** A server that says nothing must not hold up the end of the program. */
function boundEnd(pool: mysql2.Pool, connections: ReadonlySet<TimedConnection>): void {
  const end = pool.end.bind(pool) as (callback: (error: unknown) => void) => void;
  pool.end = ((callback?: (error: unknown) => void) => {
    let isOver = false;
    const finish = (error: unknown): void => {
      if (!isOver) {
        isOver = true;
        clearTimeout(timer);
        callback?.(error);
      }
    };
    const timer = setTimeout(() => {
      for (const connection of connections) {
        connection.destroy();
      }
      finish(null);
    }, CLOSE_TIMEOUT_MS);
    end(finish);
  }) as typeof pool.end;
}
