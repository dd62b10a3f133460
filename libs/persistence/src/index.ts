/**
 * @packageDocumentation
 * Tables of the manager over SQLite, MySQL and MariaDB.
 *
 * ```ts
 * const database = await Database.open({ type: 'sqlite', path: '/var/lib/dragonfly/manager.db' });
 * await database.migrate();
 * await ensureDefaultRows(database, { rootPasswordHash: () => hash('dragonfly') });
 * const clusters = await database.manager.find(SchedulerClusterEntity);
 * ```
 */
export { type AuditRow, insertAuditRows } from './audit-rows.js';
export * from './certificate-entities.js';
export {
  OauthIdentityEntity,
  OauthProviderEntity,
  TenantEntity,
  TenantMemberEntity,
  TokenLimitEntity,
} from './access-entities.js';
export { accessTokenHash, isAccessTokenHash } from './access-token-hash.js';
export type { Dialect } from './columns.js';
export { createDataSource, type DatabaseOptions, type MysqlOptions, type SqliteOptions } from './data-source.js';
export { Database, type OpenOptions } from './database.js';
export { databaseError } from './database-errors.js';
export {
  ALL_PERMISSION_OBJECTS,
  ensureDefaultRows,
  OWN_PERMISSION_OBJECTS,
  PERMISSION_OBJECTS,
  ROOT_OBJECTS,
  ROOT_USER_NAME,
  type DefaultRows,
} from './default-rows.js';
export * from './entities.js';
export { Turn, WorkFenceEntity } from './fence.js';
export * from './job-entities.js';
export { insertRow, updateRow } from './rows.js';
