import { randomUUID } from 'node:crypto';
import { MariaDbServer, RedisServer, tempDir } from '@dragonfly/testkit';

/** One combination of outside things that the integration specs run the manager on. */
export interface Engine {
  name: string;
  /** The `database:` section of a configuration with an empty database. */
  freshDatabase(): Promise<object>;
}

const directory = tempDir('manager');
const mariaDb = await MariaDbServer.startIfPresent();
const redis = await RedisServer.startIfPresent();
if (!mariaDb || !redis) {
  console.warn(
    `the manager is not tested on MariaDB and Redis here: ${MariaDbServer.missingReason ?? RedisServer.missingReason}`,
  );
}
let redisDatabases = 0;

/** A directory of its own below the temporary directory of this spec. */
export function freshDirectory(): string {
  return directory.file(randomUUID());
}

export async function stopEngines(): Promise<void> {
  await mariaDb?.stop();
  await redis?.stop();
  directory.remove();
}

export const engines: Engine[] = [
  {
    name: 'SQLite',
    freshDatabase: async () => ({ type: 'sqlite', sqlite: { path: `${freshDirectory()}/manager.db` } }),
  },
  ...(mariaDb && redis
    ? [
        {
          name: 'MariaDB and Redis',
          freshDatabase: async () => {
            const dbname = `m_${randomUUID().replaceAll('-', '')}`;
            await mariaDb.createDatabase(dbname);
            redisDatabases += 1;
            return {
              type: 'mariadb',
              mysql: { host: '127.0.0.1', port: mariaDb.port, user: 'root', password: '', dbname },
              redis: { addrs: [redis.address], db: redisDatabases % 16 },
            };
          },
        },
      ]
    : []),
];
