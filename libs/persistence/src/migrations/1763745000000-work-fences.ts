import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

const TABLE = 'work_fence';

/** A table of ours: whose turn it is with work that one manager does at a time. */
export class WorkFences1763745000000 implements MigrationInterface {
  readonly name = 'WorkFences1763745000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    if (await queryRunner.hasTable(TABLE)) {
      return;
    }
    await queryRunner.createTable(
      new Table({
        name: TABLE,
        columns: [
          { name: 'name', type: 'varchar', length: '128', isPrimary: true },
          { name: 'token', type: 'bigint' },
          { name: 'writes', type: 'bigint' },
        ],
      }),
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(TABLE, true);
  }
}
