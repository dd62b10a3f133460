import { DfError } from '@dragonfly/errors';
import { Table, TableIndex, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';
import { differencesText, mysqlDifferences, type SchemaDifference, sqliteDifferences } from '../schema-differences.js';

/** Column types by dialect; frozen with this migration, later ones bring their own. */
interface Words {
  id: TableColumnOptions;
  big: (name: string) => TableColumnOptions;
  bigSigned: (name: string) => TableColumnOptions;
  int: (name: string) => TableColumnOptions;
  boolean: (name: string) => TableColumnOptions;
  longText: (name: string) => TableColumnOptions;
  dateTime: (name: string) => TableColumnOptions;
  timestamp: (name: string) => TableColumnOptions;
}

const SQLITE: Words = {
  id: { name: 'id', type: 'integer', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
  big: (name) => ({ name, type: 'bigint' }),
  bigSigned: (name) => ({ name, type: 'bigint' }),
  int: (name) => ({ name, type: 'integer' }),
  boolean: (name) => ({ name, type: 'boolean', default: '0' }),
  longText: (name) => ({ name, type: 'text' }),
  dateTime: (name) => ({ name, type: 'datetime', isNullable: true }),
  timestamp: (name) => ({ name, type: 'datetime', default: 'CURRENT_TIMESTAMP' }),
};

const MYSQL: Words = {
  id: {
    name: 'id',
    type: 'bigint',
    unsigned: true,
    isPrimary: true,
    isGenerated: true,
    generationStrategy: 'increment',
  },
  big: (name) => ({ name, type: 'bigint', unsigned: true }),
  bigSigned: (name) => ({ name, type: 'bigint' }),
  int: (name) => ({ name, type: 'int' }),
  boolean: (name) => ({ name, type: 'tinyint', width: 1, default: '0' }),
  longText: (name) => ({ name, type: 'longtext' }),
  dateTime: (name) => ({ name, type: 'datetime', precision: 3, isNullable: true }),
  timestamp: (name) => ({ name, type: 'timestamp', default: 'CURRENT_TIMESTAMP' }),
};

const varchar = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
});
const optional = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
const key = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isPrimary: true });
const withDefault = (column: TableColumnOptions, value: string): TableColumnOptions => ({
  ...column,
  default: `'${value}'`,
});
const table = (name: string, columns: TableColumnOptions[], ...indices: TableIndex[]): Table =>
  new Table({ name, columns, indices });
const unique = (name: string, ...columnNames: string[]): TableIndex =>
  new TableIndex({ name, columnNames, isUnique: true });

function tables(w: Words): Table[] {
  const resource = [w.id, w.dateTime('created_at'), w.dateTime('updated_at'), optional(w.big('is_del'))];
  const place = [optional(varchar('idc', 1024)), optional(varchar('location', 1024))];
  const bio = optional(varchar('bio', 1024));
  const inactive = withDefault(optional(varchar('state', 256)), 'inactive');
  return [
    table(
      'user',
      [
        ...resource,
        varchar('email', 256),
        varchar('name', 256),
        optional(varchar('encrypted_password', 1024)),
        optional(varchar('avatar', 256)),
        optional(varchar('phone', 256)),
        optional(varchar('private_token', 256)),
        withDefault(optional(varchar('state', 256)), 'enable'),
        optional(varchar('location', 256)),
        optional(varchar('bio', 256)),
      ],
      unique('uk_user_email', 'email'),
      unique('uk_user_name', 'name'),
    ),
    table(
      'oauth',
      [
        ...resource,
        varchar('name', 256),
        bio,
        varchar('client_id', 256),
        varchar('client_secret', 1024),
        optional(varchar('redirect_url', 1024)),
      ],
      unique('uk_oauth2_client_id', 'client_id'),
      unique('uk_oauth2_name', 'name'),
    ),
    table(
      'scheduler_cluster',
      [
        ...resource,
        varchar('name', 256),
        bio,
        w.longText('config'),
        w.longText('client_config'),
        w.longText('seed_client_config'),
        optional(w.longText('scopes')),
        w.boolean('is_default'),
      ],
      unique('uk_scheduler_cluster_name', 'name'),
    ),
    table(
      'seed_peer_cluster',
      [...resource, varchar('name', 256), bio, w.longText('config')],
      unique('uk_seed_peer_cluster_name', 'name'),
    ),
    table('seed_peer_cluster_scheduler_cluster', [
      key(w.big('scheduler_cluster_id')),
      key(w.big('seed_peer_cluster_id')),
    ]),
    table(
      'scheduler',
      [
        ...resource,
        optional(w.longText('config')),
        varchar('host_name', 256),
        ...place,
        varchar('ip', 256),
        w.int('port'),
        inactive,
        optional(w.longText('features')),
        w.dateTime('last_keep_alive_at'),
        w.big('scheduler_cluster_id'),
      ],
      unique('uk_scheduler', 'host_name', 'ip', 'scheduler_cluster_id'),
    ),
    table(
      'seed_peer',
      [
        ...resource,
        varchar('host_name', 256),
        optional(varchar('type', 256)),
        ...place,
        varchar('ip', 256),
        w.int('port'),
        w.int('download_port'),
        optional(w.int('object_storage_port')),
        inactive,
        w.big('seed_peer_cluster_id'),
      ],
      unique('uk_seed_peer', 'host_name', 'ip', 'seed_peer_cluster_id'),
    ),
    table(
      'peer',
      [
        ...resource,
        varchar('host_name', 256),
        optional(varchar('type', 256)),
        ...place,
        varchar('ip', 256),
        w.int('port'),
        w.int('download_port'),
        w.int('proxy_port'),
        optional(w.int('object_storage_port')),
        inactive,
        ...[
          'os',
          'platform',
          'platform_family',
          'platform_version',
          'kernel_version',
          'git_version',
          'git_commit',
          'build_platform',
        ].map((name) => optional(varchar(name, 256))),
        w.big('scheduler_cluster_id'),
      ],
      new TableIndex({ name: 'idx_peer_git_commit', columnNames: ['git_commit'] }),
      new TableIndex({ name: 'idx_peer_git_version', columnNames: ['git_version'] }),
      new TableIndex({ name: 'idx_peer_type', columnNames: ['type'] }),
      unique('uk_peer', 'host_name', 'ip', 'scheduler_cluster_id'),
    ),
    table(
      'application',
      [...resource, varchar('name', 256), w.longText('url'), bio, w.longText('priority'), optional(w.big('user_id'))],
      unique('uk_application_name', 'name'),
    ),
    table(
      'config',
      [...resource, varchar('name', 256), varchar('value', 1024), bio, optional(w.big('user_id'))],
      unique('uk_config_name', 'name'),
    ),
    table('job', [
      ...resource,
      varchar('task_id', 256),
      bio,
      optional(varchar('type', 256)),
      withDefault(varchar('state', 256), 'PENDING'),
      w.longText('args'),
      optional(w.longText('task_result')),
      optional(w.big('user_id')),
    ]),
    table('job_scheduler_cluster', [key(w.big('scheduler_cluster_id')), key(w.big('job_id'))]),
    table('job_seed_peer_cluster', [key(w.big('seed_peer_cluster_id')), key(w.big('job_id'))]),
    table(
      'personal_access_token',
      [
        ...resource,
        varchar('name', 256),
        bio,
        varchar('token', 256),
        w.longText('scopes'),
        inactive,
        w.timestamp('expired_at'),
        optional(w.big('user_id')),
      ],
      unique('uk_personal_access_token', 'token'),
      unique('uk_personal_access_token_name', 'name'),
    ),
    table('audit', [
      ...resource,
      varchar('actor_type', 256),
      varchar('actor_name', 256),
      varchar('event_type', 100),
      varchar('operation', 256),
      optional(w.timestamp('operated_at')),
      varchar('state', 100),
      optional(varchar('path', 1024)),
      optional(w.bigSigned('status_code')),
      optional(w.longText('detail')),
    ]),
    table('casbin_rule', [
      w.id,
      ...['ptype', 'v0', 'v1', 'v2', 'v3', 'v4', 'v5'].map((name) => optional(varchar(name, 100))),
    ]),
  ];
}

/**
 * Every table of the original manager. Tables that are there already (the database of an original manager, or a first
 * start that was interrupted) are kept when they are as good as ours, and refused with the list of what differs
 * otherwise; nothing is changed in that case.
 */
export class InitialSchema1763683200000 implements MigrationInterface {
  readonly name = 'InitialSchema1763683200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const isSqlite = queryRunner.connection.options.type === 'better-sqlite3';
    const differences: SchemaDifference[] = [];
    const absent: Table[] = [];
    for (const planned of tables(isSqlite ? SQLITE : MYSQL)) {
      if (!(await queryRunner.hasTable(planned.name))) {
        absent.push(planned);
        continue;
      }
      differences.push(...(await (isSqlite ? sqliteDifferences : mysqlDifferences)(queryRunner, planned)));
    }
    if (differences.length > 0) {
      throw new DfError(
        'failed-precondition',
        `the database holds tables of another schema: ${differencesText(differences)}`,
        { details: { differences } },
      );
    }
    for (const planned of absent) {
      await queryRunner.createTable(planned);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const planned of tables(SQLITE).reverse()) {
      await queryRunner.dropTable(planned.name, true);
    }
  }
}
