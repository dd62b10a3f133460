import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { DataSource, EntityManager } from 'typeorm';
import type { Dialect } from './columns.js';
import { createDataSource, dialectOf, type DatabaseOptions } from './data-source.js';
import { databaseError, isTransactionConflict } from './database-errors.js';
import { Turn } from './fence.js';
import { withoutQueryTimeout } from './mysql-timeouts.js';

export interface OpenOptions {
  /** Longest time to go on trying to connect, in ms. @default 60000 */
  connectRetryMs?: number;
  /** Told before each further try. */
  onRetry?: (error: DfError, pauseMs: number) => void;
  signal?: AbortSignal;
}

const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 3_000;
/** Longest wait for another manager that migrates or seeds the same database, in seconds. */
const SCHEMA_LOCK_WAIT_S = 120;
const SCHEMA_LOCK_NAME = 'dragonfly_manager_schema';
/** Tries of a transaction that another one got in the way of. */
const CONFLICT_TRIES = 5;

/**
 * The manager's database.
 *
 * Rule: reads may use {@link manager} at any time, **every write runs inside {@link transaction}**. SQLite has one
 * connection per process, so a write outside would land in whatever transaction is open and be rolled back with it.
 */
export class Database {
  private readonly insideTransaction = new AsyncLocalStorage<true>();
  private readonly turn = new AsyncLocalStorage<Turn>();
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly dataSource: DataSource,
    readonly dialect: Dialect,
  ) {}

  /**
   * Connects; a server that does not answer yet is tried again with growing pauses.
   * @throws DfError `unavailable` when the time is over, `cancelled`, or what else the server says (at once)
   */
  static async open(options: DatabaseOptions, open: OpenOptions = {}): Promise<Database> {
    const giveUpAtMs = performance.now() + (open.connectRetryMs ?? 60_000);
    for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(RETRY_MAX_MS, pauseMs * 2)) {
      open.signal?.throwIfAborted();
      const dataSource = createDataSource(options);
      try {
        await dataSource.initialize();
        return new Database(dataSource, dialectOf(options));
      } catch (error) {
        const failure = databaseError(error);
        if (!failure.retryable || performance.now() + pauseMs > giveUpAtMs) {
          throw failure;
        }
        open.onRetry?.(failure, pauseMs);
        await delay(pauseMs, undefined, { signal: open.signal });
      }
    }
  }

  /** For reads. */
  get manager(): EntityManager {
    return this.dataSource.manager;
  }

  /**
   * Runs the work in one transaction: all of it or nothing. On SQLite transactions run one after the other; on MySQL
   * they run side by side. They cannot be nested. A transaction that the database took back for a conflict with another
   * one (deadlock, busy) is run again, so the work must have no effect but on the database.
   * @throws DfError, see `databaseError`; a DfError of the work passes through; `failed-precondition` inside
   * {@link inTurn} when another process has taken over
   */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (this.insideTransaction.getStore()) {
      throw new DfError('internal', 'a transaction was opened inside a transaction');
    }
    const turn = this.turn.getStore();
    const guarded =
      turn === undefined
        ? work
        : async (manager: EntityManager): Promise<T> => {
            await turn.require(manager);
            return work(manager);
          };
    const run = (): Promise<T> => this.insideTransaction.run(true, () => this.dataSource.transaction(guarded));
    try {
      return await (this.dialect === 'sqlite' ? this.oneAfterTheOther(() => retryConflicts(run)) : retryConflicts(run));
    } catch (error) {
      throw databaseError(error);
    }
  }

  /**
   * Does a work that one process does at a time, as the one whose turn it is: every transaction that it opens, wherever
   * in its calls, is refused from the moment another process has begun a turn of that name. A lock decides who may begin;
   * this keeps one that has lost its lock without noticing (a process that was stopped for a while) from writing.
   *
   * What the work starts and leaves running belongs to the turn too: a loop that outlives it must be begun outside.
   * @param name at most 128 characters
   */
  async inTurn<T>(name: string, work: (turn: Turn) => Promise<T>): Promise<T> {
    const turn = await this.transaction((manager) => Turn.begin(manager, name));
    return this.turn.run(turn, () => work(turn));
  }

  /** Runs the pending migrations; managers that start at the same time wait for each other. */
  async migrate(): Promise<void> {
    await this.exclusively(async () => {
      try {
        // MySQL commits at every DDL statement anyway; the migrations can be run again after an interruption.
        await this.dataSource.runMigrations({ transaction: this.dialect === 'sqlite' ? 'all' : 'none' });
      } catch (error) {
        throw databaseError(error);
      }
    });
  }

  /** Runs the work while no other manager of the same database runs such work. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.dialect === 'sqlite' ? work() : withoutQueryTimeout(() => this.underSchemaLock(work));
  }

  private async underSchemaLock<T>(work: () => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      const [row] = (await runner.query('SELECT GET_LOCK(?, ?) AS taken', [SCHEMA_LOCK_NAME, SCHEMA_LOCK_WAIT_S])) as {
        taken: unknown;
      }[];
      if (Number(row?.taken) !== 1) {
        throw new DfError('unavailable', `another manager has held the schema lock for ${SCHEMA_LOCK_WAIT_S} s`);
      }
      try {
        return await work();
      } finally {
        await runner.query('SELECT RELEASE_LOCK(?)', [SCHEMA_LOCK_NAME]);
      }
    } catch (error) {
      throw databaseError(error);
    } finally {
      await runner.release();
    }
  }

  /** Resolves when the database answers. */
  async ping(): Promise<void> {
    try {
      await this.dataSource.query('SELECT 1');
    } catch (error) {
      throw databaseError(error);
    }
  }

  async close(): Promise<void> {
    if (!this.dataSource.isInitialized) {
      return;
    }
    try {
      await this.dataSource.destroy();
    } catch (error) {
      const failure = databaseError(error);
      // A connection that was still being made when the server went away: it is as closed as it can be.
      if (!failure.retryable) {
        throw failure;
      }
    }
  }

  private oneAfterTheOther<T>(run: () => Promise<T>): Promise<T> {
    const result = this.tail.then(run);
    // The next one starts whatever became of this one; its own caller gets the failure.
    this.tail = result.catch(() => undefined);
    return result;
  }
}

async function retryConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt === CONFLICT_TRIES || !isTransactionConflict(error)) {
        throw error;
      }
      await delay(20 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}
