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

/**
 * Writes entries of the audit log in one statement. There is one for each request of the API: the general way, through the
 * query builder, costs more than the request that it tells of.
 * @param rows at most 1,000: SQLite takes 32,766 values
 */
export async function insertAuditRows(manager: EntityManager, rows: readonly AuditRow[]): Promise<void> {
  if (rows.length === 0) return;
  const isSqlite = manager.connection.options.type === 'better-sqlite3';
  const one = `(${COLUMNS.map(() => '?').join()})`;
  const marks = Array.from({ length: rows.length }, () => one).join();
  const values = rows.flatMap((row) => valuesOf(row, isSqlite));
  await manager.query(`INSERT INTO audit (${COLUMNS.join()}) VALUES ${marks}`, values);
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
