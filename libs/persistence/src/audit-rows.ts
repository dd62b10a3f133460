import type { EntityManager } from 'typeorm';
import type { AuditEntity } from './entities.js';

/** An entry as it is written; the id is the database's. */
export type AuditRow = Omit<AuditEntity, 'id'>;

/** Columns of the table in the order of {@link valuesOf}. */
const COLUMNS = [
  'created_at',
  'updated_at',
  'is_del',
  'actor_type',
  'actor_name',
  'event_type',
  'operation',
  'operated_at',
  'state',
  'path',
  'status_code',
  'detail',
];

/** Rows of one statement, largest first. With few different statements each stays prepared; a large one takes a while. */
const STATEMENT_ROWS = [100, 10, 1];

/**
 * Writes entries of the audit log. There is one for each request of the API: the general way, through the query builder,
 * costs more than the request that it tells of.
 */
export async function insertAuditRows(manager: EntityManager, rows: readonly AuditRow[]): Promise<void> {
  const isSqlite = manager.connection.options.type === 'better-sqlite3';
  // MariaDB is far away and prepares nothing: it gets all in one.
  for (const part of isSqlite ? partsOf(rows) : [rows]) {
    if (part.length === 0) continue;
    const values = part.flatMap((row) => valuesOf(row, isSqlite));
    await manager.query(statementFor(part.length), values);
  }
}

function partsOf(rows: readonly AuditRow[]): (readonly AuditRow[])[] {
  const parts: (readonly AuditRow[])[] = [];
  let done = 0;
  for (const size of STATEMENT_ROWS) {
    for (; rows.length - done >= size; done += size) parts.push(rows.slice(done, done + size));
  }
  return parts;
}

const statements = new Map(STATEMENT_ROWS.map((rowCount) => [rowCount, statementOf(rowCount)]));

function statementFor(rowCount: number): string {
  return statements.get(rowCount) ?? statementOf(rowCount);
}

function statementOf(rowCount: number): string {
  const one = `(${COLUMNS.map(() => '?').join()})`;
  return `INSERT INTO audit (${COLUMNS.join()}) VALUES ${Array.from({ length: rowCount }, () => one).join()}`;
}

function valuesOf(row: AuditRow, isSqlite: boolean): unknown[] {
  const time = (date: Date | null | undefined): unknown => (isSqlite && date ? sqliteTime(date) : date);
  const created = time(row.createdAt);
  // All three are one moment, of one and the same Date.
  const timeOf = (date: Date | null | undefined): unknown => (date === row.createdAt ? created : time(date));
  return [
    created,
    timeOf(row.updatedAt),
    row.isDel,
    row.actorType,
    row.actorName,
    row.eventType,
    row.operation,
    timeOf(row.operatedAt),
    row.state,
    row.path,
    row.statusCode,
    JSON.stringify(row.detail),
  ];
}

/** As the entities' columns are written and read: UTC, `2026-01-02 03:04:05.678`. */
function sqliteTime(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '');
}
