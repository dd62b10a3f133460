import { Database, ensureDefaultRows } from '@dragonfly/persistence';

/** A migrated database in memory, with the default rows (cluster 1 and 1, root). */
export async function aDatabase(): Promise<Database> {
  const database = await Database.open({ type: 'sqlite', path: ':memory:' });
  await database.migrate();
  // A hash of "dragonfly" with the fewest rounds, as the original writes it.
  await ensureDefaultRows(database, { rootPasswordHash: async () => ROOT_HASH });
  return database;
}

/** bcrypt cost 4, version 2a, of "dragonfly". */
export const ROOT_HASH = '$2a$04$OhD72TKxyGd91kZqoRBcSeM8oYiVw1BKK1nuBobVF/umCY3AJh6lK';
