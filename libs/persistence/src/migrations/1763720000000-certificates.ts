import { Table, TableIndex, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

type Make = (name: string) => TableColumnOptions;

/** Column types by dialect; frozen with this migration. */
interface Words {
  id: TableColumnOptions;
  bigUnsigned: Make;
  longText: Make;
  dateTime: Make;
}

const GENERATED_KEY = { name: 'id', isPrimary: true, isGenerated: true, generationStrategy: 'increment' } as const;

const SQLITE: Words = {
  id: { ...GENERATED_KEY, type: 'integer' },
  bigUnsigned: (name) => ({ name, type: 'bigint', isNullable: true }),
  longText: (name) => ({ name, type: 'text' }),
  dateTime: (name) => ({ name, type: 'datetime', isNullable: true }),
};

const MYSQL: Words = {
  id: { ...GENERATED_KEY, type: 'bigint', unsigned: true },
  bigUnsigned: (name) => ({ name, type: 'bigint', unsigned: true, isNullable: true }),
  longText: (name) => ({ name, type: 'longtext' }),
  dateTime: (name) => ({ name, type: 'datetime', precision: 3, isNullable: true }),
};

const varchar = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
});
const optional = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
const unique = (name: string, column: string): TableIndex =>
  new TableIndex({ name, columnNames: [column], isUnique: true });

function tables(w: Words): Table[] {
  const resource = [w.id, w.dateTime('created_at'), w.dateTime('updated_at'), w.bigUnsigned('is_del')];
  return [
    new Table({
      name: 'certificate_authority',
      columns: [
        ...resource,
        varchar('fingerprint', 64),
        w.longText('certificate'),
        optional(w.longText('sealed_key')),
        w.dateTime('signs_from'),
        w.dateTime('expires_at'),
      ],
      indices: [unique('uk_certificate_authority_fingerprint', 'fingerprint')],
    }),
    new Table({
      name: 'certificate',
      columns: [
        ...resource,
        varchar('serial', 64),
        varchar('common_name', 64),
        w.longText('names'),
        varchar('authority_fingerprint', 64),
        w.dateTime('expires_at'),
        w.dateTime('revoked_at'),
      ],
      indices: [
        unique('uk_certificate_serial', 'serial'),
        new TableIndex({ name: 'idx_certificate_expires_at', columnNames: ['expires_at'] }),
      ],
    }),
    new Table({
      name: 'join_token',
      columns: [
        ...resource,
        varchar('secret_hash', 64),
        optional(varchar('bio', 1024)),
        w.longText('names'),
        w.dateTime('expires_at'),
        w.dateTime('used_at'),
        optional(varchar('serial', 64)),
        w.bigUnsigned('user_id'),
      ],
      indices: [unique('uk_join_token_secret_hash', 'secret_hash')],
    }),
  ];
}

/** Our own tables about certificates. Each is made when it is absent, so that an interrupted migration can be run again. */
export class Certificates1763720000000 implements MigrationInterface {
  readonly name = 'Certificates1763720000000';

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
