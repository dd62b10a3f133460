import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Every text of the API fits it; what a database is made with by default (latin1 in many MariaDB) does not. */
const CHARACTER_SET = 'utf8mb4';
/** The server's words for "you may not change this database" (error codes of MySQL and MariaDB). */
const DENIED: ReadonlySet<unknown> = new Set(['ER_DBACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_ERROR']);
/** Rows that were different become equal: two names that differ only for the old collation. */
const DUPLICATE = 'ER_DUP_ENTRY';

interface NamedTable {
  readonly name: string;
}

/**
 * Tables in another character set take every text from now on. Nothing happens where the database has been utf8mb4 all
 * along. A table in which two rows would get the same key stays as it is.
 */
export class CharacterSet1763740000000 implements MigrationInterface {
  readonly name = 'CharacterSet1763740000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    if (queryRunner.connection.options.type === 'better-sqlite3') {
      return;
    }
    // So that tables of later versions are made with it too.
    await unless(queryRunner.query(`ALTER DATABASE CHARACTER SET ${CHARACTER_SET}`), (code) => DENIED.has(code));
    const ours = queryRunner.connection.entityMetadatas.map(({ tableName }) => tableName);
    const others = (await queryRunner.query(
      `SELECT table_name AS name FROM information_schema.tables
       WHERE table_schema = DATABASE() AND table_collation NOT LIKE '${CHARACTER_SET}%'`,
    )) as NamedTable[];
    for (const { name } of others.filter((table) => ours.includes(table.name))) {
      await unless(
        queryRunner.query(
          `ALTER TABLE ${queryRunner.connection.driver.escape(name)} CONVERT TO CHARACTER SET ${CHARACTER_SET}`,
        ),
        (code) => code === DUPLICATE,
      );
    }
  }

  /** Nothing: the old character set cannot hold what may have been written since. */
  async down(): Promise<void> {}
}

async function unless(work: Promise<unknown>, isExpected: (code: unknown) => boolean): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isExpected((error as { driverError?: { code?: unknown } }).driverError?.code)) {
      throw error;
    }
  }
}
