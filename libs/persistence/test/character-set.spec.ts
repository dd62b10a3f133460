import {
  ConfigEntity,
  Database,
  insertRow,
  UserEntity,
  type DatabaseOptions,
  type MysqlOptions,
} from '../src/index.js';
import { engines, stopEngines } from './databases.js';

afterAll(stopEngines);

const NOW = new Date('2026-01-01T00:00:00.001Z');
const TEXT = '桥 🐉 Ünïcode';

/** An empty database whose tables get latin1 by default, as a MariaDB without settings makes it. */
async function latin1Database(): Promise<MysqlOptions | undefined> {
  const [, mysql] = engines;
  if (!mysql) {
    console.warn('skip: no MariaDB here');
    return undefined;
  }
  const options = (await mysql.fresh()) as MysqlOptions;
  const database = await Database.open(options);
  await database.dataSource.query('ALTER DATABASE CHARACTER SET latin1');
  await database.close();
  return options;
}

async function migrated(options: DatabaseOptions): Promise<Database> {
  const database = await Database.open(options);
  await database.migrate();
  return database;
}

describe('a database whose default character set is latin1', () => {
  it('keeps and finds every text once it is ours', async () => {
    const options = await latin1Database();
    if (!options) {
      return;
    }
    const database = await migrated(options);
    await database.transaction((manager) =>
      insertRow(manager, ConfigEntity, NOW, { name: TEXT, value: TEXT, bio: null, userId: 1 }),
    );
    await expect(database.manager.findOneBy(ConfigEntity, { name: TEXT })).resolves.toMatchObject({ value: TEXT });
    const tables: unknown[] = await database.dataSource.query(
      `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()
       AND table_collation NOT LIKE 'utf8mb4%' AND table_name <> 'dragonfly_migration'`,
    );
    expect(tables).toEqual([]);
    await database.close();
  });

  it('leaves a table as it is whose rows would get the same key, and says what does not fit it', async () => {
    const options = await latin1Database();
    if (!options) {
      return;
    }
    const database = await migrated(options);
    // As an adopted database may be: two names that are different in latin1 only.
    await database.dataSource.query('DELETE FROM dragonfly_migration ORDER BY id DESC LIMIT 1');
    await database.dataSource.query('ALTER TABLE config CONVERT TO CHARACTER SET latin1');
    await database.dataSource.query('ALTER TABLE user CONVERT TO CHARACTER SET latin1');
    await database.transaction(async (manager) => {
      await insertRow(manager, ConfigEntity, NOW, { name: 'bar', value: '1', bio: null, userId: 1 });
      await insertRow(manager, ConfigEntity, NOW, { name: 'bär', value: '2', bio: null, userId: 1 });
      await insertRow(manager, UserEntity, NOW, { name: 'käthe', email: 'k@x.test' });
    });
    await database.migrate();
    await expect(database.manager.findOneBy(ConfigEntity, { name: 'bär' })).resolves.toMatchObject({ value: '2' });
    await expect(database.manager.findOneBy(UserEntity, { name: 'käthe' })).resolves.toMatchObject({
      email: 'k@x.test',
    });
    await expect(
      database.transaction((manager) =>
        insertRow(manager, ConfigEntity, NOW, { name: TEXT, value: '', bio: null, userId: 1 }),
      ),
    ).rejects.toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('`name`') });
    await database.close();
  });
});
