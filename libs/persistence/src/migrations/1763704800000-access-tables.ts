import { Table, TableIndex, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

function tables(isSqlite: boolean): Table[] {
  const id: TableColumnOptions = {
    name: 'id',
    isPrimary: true,
    isGenerated: true,
    generationStrategy: 'increment',
    ...(isSqlite ? { type: 'integer' } : { type: 'bigint', unsigned: true }),
  };
  const big = (name: string): TableColumnOptions => ({
    name,
    type: 'bigint',
    ...(isSqlite ? {} : { unsigned: true }),
  });
  const key = (name: string): TableColumnOptions => ({ ...big(name), isPrimary: true });
  const dateTime = (name: string): TableColumnOptions => ({
    name,
    type: 'datetime',
    isNullable: true,
    ...(isSqlite ? {} : { precision: 3 }),
  });
  const longText = (name: string): TableColumnOptions => ({ name, type: isSqlite ? 'text' : 'longtext' });
  const varchar = (name: string, length: number): TableColumnOptions => ({
    name,
    type: 'varchar',
    length: String(length),
  });
  return [
    new Table({
      name: 'dragonfly_tenant',
      columns: [
        id,
        dateTime('created_at'),
        dateTime('updated_at'),
        { ...big('is_del'), isNullable: true },
        varchar('name', 256),
        { ...varchar('bio', 1024), isNullable: true },
        varchar('state', 32),
        longText('scheduler_cluster_ids'),
        longText('applications'),
        longText('limits'),
      ],
      indices: [new TableIndex({ name: 'uk_dragonfly_tenant_name', columnNames: ['name'], isUnique: true })],
    }),
    new Table({
      name: 'dragonfly_tenant_member',
      columns: [key('user_id'), big('tenant_id')],
      indices: [new TableIndex({ name: 'idx_dragonfly_tenant_member_tenant', columnNames: ['tenant_id'] })],
    }),
    new Table({ name: 'dragonfly_token_limit', columns: [key('token_id'), longText('limits')] }),
    new Table({
      name: 'dragonfly_oauth_provider',
      columns: [key('oauth_id'), varchar('issuer', 1024), longText('scopes')],
    }),
    new Table({
      name: 'dragonfly_oauth_identity',
      columns: [id, varchar('provider', 64), varchar('subject', 255), big('user_id'), dateTime('created_at')],
      indices: [
        new TableIndex({
          name: 'uk_dragonfly_oauth_identity',
          columnNames: ['provider', 'subject'],
          isUnique: true,
        }),
      ],
    }),
  ];
}

/** Tenants, limits of tokens, OpenID providers and the identities they vouch for. Can be run again after an interruption. */
export class AccessTables1763704800000 implements MigrationInterface {
  readonly name = 'AccessTables1763704800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables(queryRunner.connection.options.type === 'better-sqlite3')) {
      await queryRunner.createTable(table, true);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables(true).reverse()) {
      await queryRunner.dropTable(table.name, true);
    }
  }
}
