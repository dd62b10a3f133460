import { randomUUID } from 'node:crypto';
import { MariaDbServer, tempDir } from '@dragonfly/testkit';
import type { DatabaseOptions } from '../src/index.js';

/** One SQL engine that the specs run on; each call of `fresh` gives an empty database. */
export interface Engine {
  name: string;
  /** TypeORM's comparison of schemas understands MariaDB's catalogue only through its own driver type. */
  canCompareSchema: boolean;
  fresh(): Promise<DatabaseOptions>;
}

const directory = tempDir('persistence');
const mariaDb = await MariaDbServer.startIfPresent();
if (!mariaDb) {
  console.warn(`MariaDB is not tested here: ${MariaDbServer.missingReason}`);
}

export async function stopEngines(): Promise<void> {
  await mariaDb?.stop();
  directory.remove();
}

const freshMysql = async (server: MariaDbServer, type: 'mysql' | 'mariadb'): Promise<DatabaseOptions> => {
  const database = `d_${randomUUID().replaceAll('-', '')}`;
  await server.createDatabase(database);
  return { type, host: '127.0.0.1', port: server.port, user: 'root', password: '', database };
};

export const engines: Engine[] = [
  {
    name: 'SQLite',
    canCompareSchema: true,
    fresh: async () => ({ type: 'sqlite', path: directory.file(`${randomUUID()}/manager.db`) }),
  },
  ...(mariaDb
    ? [
        { name: 'MariaDB (driver mariadb)', canCompareSchema: true, fresh: () => freshMysql(mariaDb, 'mariadb') },
        { name: 'MariaDB (driver mysql)', canCompareSchema: false, fresh: () => freshMysql(mariaDb, 'mysql') },
      ]
    : []),
];
