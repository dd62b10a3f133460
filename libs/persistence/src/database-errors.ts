import { DfError } from '@dragonfly/errors';

const DUPLICATE_CODES: ReadonlySet<string> = new Set([
  'ER_DUP_ENTRY',
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
]);
const UNAVAILABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ER_QUERY_INTERRUPTED',
  'ER_CONNECTION_KILLED',
  'ER_CON_COUNT_ERROR',
  'ER_SERVER_SHUTDOWN',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'SQLITE_BUSY',
  'SQLITE_BUSY_SNAPSHOT',
  'SQLITE_LOCKED',
]);

/** A text that the column has no room for, or its character set (a table of another program that was not converted). */
const UNFIT_TEXT_CODES: ReadonlySet<string> = new Set([
  'ER_DATA_TOO_LONG',
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_CANT_AGGREGATE_2COLLATIONS',
]);

/** Failures of the driver that have no code: a connection that was closed in between, a pool with too many waiting. */
const UNAVAILABLE_TEXT = /in closed state|Queue limit reached|Pool is closed|Connection lost/;

/** The driver's own code, wherever TypeORM put it. */
function driverCode(error: unknown): string | undefined {
  if (!Error.isError(error)) {
    return undefined;
  }
  const { code, driverError } = error as { code?: unknown; driverError?: { code?: unknown } };
  const found = driverError?.code ?? code;
  return typeof found === 'string' ? found : undefined;
}

/** Failures after which the database has taken the whole transaction back because another one was in the way. */
const CONFLICT_CODES: ReadonlySet<string> = new Set([
  'ER_LOCK_DEADLOCK',
  'SQLITE_BUSY',
  'SQLITE_BUSY_SNAPSHOT',
  'SQLITE_LOCKED',
]);

/** Whether the same transaction may simply be run again. */
export function isTransactionConflict(error: unknown): boolean {
  return CONFLICT_CODES.has(driverCode(error) ?? '');
}

/**
 * What a database failure means: `already-exists` (unique key), `unavailable` (no connection, lock held by another
 * process; may be tried again), `invalid-argument` (a text that the table cannot hold) or `internal`. A DfError passes
 * through.
 */
export function databaseError(error: unknown): DfError {
  if (error instanceof DfError) {
    return error;
  }
  const code = driverCode(error);
  const message = Error.isError(error) ? error.message : String(error);
  if (code && DUPLICATE_CODES.has(code)) {
    return new DfError('already-exists', message, { cause: error });
  }
  if ((code && UNAVAILABLE_CODES.has(code)) || UNAVAILABLE_TEXT.test(message)) {
    return new DfError('unavailable', `database: ${message || code}`, { cause: error, retryable: true });
  }
  if (code && UNFIT_TEXT_CODES.has(code)) {
    return new DfError('invalid-argument', `the database cannot hold the text: ${message}`, { cause: error });
  }
  return new DfError('internal', `database: ${message || code || 'failed'}`, { cause: error });
}
