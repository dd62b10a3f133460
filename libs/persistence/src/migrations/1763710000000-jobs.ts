import { Table, TableIndex, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

type Make = (name: string) => TableColumnOptions;

/** Column types by dialect; frozen with this migration. */
interface Words {
  id: TableColumnOptions;
  big: Make;
  bigUnsigned: Make;
  int: Make;
  boolean: Make;
  longText: Make;
  dateTime: Make;
}

const SQLITE: Words = {
  id: { name: 'id', type: 'integer', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
  big: (name) => ({ name, type: 'bigint' }),
  bigUnsigned: (name) => ({ name, type: 'bigint' }),
  int: (name) => ({ name, type: 'integer' }),
  boolean: (name) => ({ name, type: 'boolean', default: '0' }),
  longText: (name) => ({ name, type: 'text' }),
  dateTime: (name) => ({ name, type: 'datetime', isNullable: true }),
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
  big: (name) => ({ name, type: 'bigint' }),
  bigUnsigned: (name) => ({ name, type: 'bigint', unsigned: true }),
  int: (name) => ({ name, type: 'int' }),
  boolean: (name) => ({ name, type: 'tinyint', width: 1, default: '0' }),
  longText: (name) => ({ name, type: 'longtext' }),
  dateTime: (name) => ({ name, type: 'datetime', precision: 3, isNullable: true }),
};

const varchar = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
});
const optional = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
const key = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isPrimary: true });
const table = (name: string, columns: TableColumnOptions[], ...indices: TableIndex[]): Table =>
  new Table({ name, columns, indices });
const index = (name: string, ...columnNames: string[]): TableIndex => new TableIndex({ name, columnNames });

function tables(w: Words): Table[] {
  const resource = [w.id, w.dateTime('created_at'), w.dateTime('updated_at'), optional(w.bigUnsigned('is_del'))];
  return [
    table(
      'queue_job',
      [
        key(varchar('queue', 64)),
        key(varchar('id', 128)),
        varchar('kind', 64),
        w.longText('payload'),
        varchar('state', 16),
        w.big('run_at'),
        w.int('attempt'),
        w.int('max_attempts'),
        w.int('backoff_ms'),
        optional(varchar('owner', 64)),
        optional(w.big('lease_until')),
        w.boolean('is_cancelled'),
        optional(w.longText('progress')),
        optional(w.longText('result')),
        optional(w.longText('error')),
        w.big('created_at'),
        optional(w.big('finished_at')),
      ],
      index('idx_queue_job_due', 'queue', 'state', 'run_at'),
    ),
    table('queue_schedule', [
      key(varchar('queue', 64)),
      key(varchar('name', 128)),
      varchar('kind', 64),
      w.longText('payload'),
      optional(varchar('cron', 256)),
      optional(w.big('every_ms')),
      w.int('max_attempts'),
      w.int('backoff_ms'),
      w.big('next_at'),
    ]),
    table(
      'job_run',
      [
        key(w.bigUnsigned('job_id')),
        w.int('try_number'),
        optional(w.longText('secrets')),
        w.longText('plan'),
        optional(w.longText('progress')),
        optional(w.longText('webhook')),
        optional(w.bigUnsigned('trigger_id')),
        w.boolean('is_cancelled'),
        w.dateTime('started_at'),
        w.dateTime('finished_at'),
      ],
      index('idx_job_run_finished_at', 'finished_at'),
    ),
    table(
      'job_trigger',
      [
        ...resource,
        varchar('name', 256),
        varchar('kind', 32),
        w.boolean('is_enabled'),
        optional(varchar('cron', 256)),
        optional(w.big('interval_ms')),
        w.longText('job'),
        optional(w.longText('watch')),
        optional(w.longText('secrets')),
        optional(w.longText('seen')),
        w.dateTime('last_fired_at'),
        optional(w.bigUnsigned('last_job_id')),
        optional(varchar('last_error', 1024)),
        optional(w.bigUnsigned('user_id')),
      ],
      new TableIndex({ name: 'uk_job_trigger_name', columnNames: ['name'], isUnique: true }),
    ),
    table(
      'webhook_delivery',
      [
        ...resource,
        w.bigUnsigned('job_id'),
        w.longText('url'),
        varchar('event', 64),
        w.longText('body'),
        optional(w.longText('secret')),
        varchar('state', 16),
        w.int('attempts'),
        optional(w.int('status_code')),
        optional(varchar('error', 1024)),
      ],
      index('idx_webhook_delivery_job_id', 'job_id'),
    ),
    table(
      'bandwidth',
      [
        key(w.int('resolution_s')),
        key(w.big('begins_at')),
        key(w.bigUnsigned('scheduler_id')),
        key(varchar('grouping_kind', 16)),
        key(varchar('name', 256)),
        w.bigUnsigned('scheduler_cluster_id'),
        ...[
          'downloads',
          'failures',
          'bytes_from_source',
          'bytes_from_peers',
          'bytes_from_seeds',
          'bytes_across_idcs',
        ].map(w.big),
      ],
      index('idx_bandwidth_series', 'scheduler_cluster_id', 'grouping_kind', 'resolution_s', 'begins_at'),
    ),
  ];
}

/** Our own tables about jobs. Each is made when it is absent, so that an interrupted migration can be run again. */
export class Jobs1763710000000 implements MigrationInterface {
  readonly name = 'Jobs1763710000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const planned of tables(queryRunner.connection.options.type === 'better-sqlite3' ? SQLITE : MYSQL)) {
      if (!(await queryRunner.hasTable(planned.name))) {
        await queryRunner.createTable(planned);
      }
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const planned of tables(SQLITE).reverse()) {
      await queryRunner.dropTable(planned.name, true);
    }
  }
}
