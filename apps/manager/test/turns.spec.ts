import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createMemoryKv, createRedisKv, type Kv } from '@dragonfly/kv';
import { ConfigEntity, Database, type DatabaseOptions, insertRow } from '@dragonfly/persistence';
import { MariaDbServer, RedisServer, tempDir } from '@dragonfly/testkit';
import { Turns } from '../src/turns.js';

const HOLDER = fileURLToPath(new URL('frozen-holder.ts', import.meta.url));
const NAME = 'manager:test';
const LOCK_TTL_MS = 500;

const directory = tempDir('turns');
const mariaDb = await MariaDbServer.startIfPresent();
const redis = await RedisServer.startIfPresent();
if (!mariaDb || !redis) {
  console.warn(`turns are not tested on MariaDB: ${MariaDbServer.missingReason ?? RedisServer.missingReason}`);
}

afterAll(async () => {
  await mariaDb?.stop();
  await redis?.stop();
  directory.remove();
});

interface Place {
  readonly name: string;
  readonly redis?: { readonly host: string; readonly port: number };
  fresh(): Promise<DatabaseOptions>;
}

const places: Place[] = [
  {
    // Each process has a lock of its own: only the token keeps them apart.
    name: 'a SQLite file, without a common lock',
    fresh: async () => ({ type: 'sqlite', path: directory.file(`${randomUUID()}/manager.db`) }),
  },
  ...(mariaDb && redis
    ? [
        {
          name: 'MariaDB, with the lock in Redis',
          redis: { host: '127.0.0.1', port: Number(redis.address.split(':').at(-1)) },
          fresh: async (): Promise<DatabaseOptions> => {
            const database = `t_${randomUUID().replaceAll('-', '')}`;
            await mariaDb.createDatabase(database);
            return { type: 'mariadb', host: '127.0.0.1', port: mariaDb.port, user: 'root', password: '', database };
          },
        },
      ]
    : []),
];

/** Lines of a process, as they come. */
async function* linesOf(child: ChildProcess): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of child.stdout ?? []) {
    const lines = `${rest}${String(chunk)}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

describe.each(places)('a manager that is stopped while it holds a turn, on $name', (place) => {
  let options: DatabaseOptions;
  let database: Database;
  let kv: Kv;
  let holder: ChildProcess;

  beforeEach(async () => {
    options = await place.fresh();
    database = await Database.open(options);
    await database.migrate();
    kv = place.redis ? createRedisKv({ addresses: [place.redis], db: 0 }) : createMemoryKv();
  });

  afterEach(async () => {
    holder.kill('SIGKILL');
    await kv.close();
    await database.close();
  });

  const start = (): AsyncGenerator<string, void, undefined> => {
    const args = { database: options, redis: place.redis, name: NAME, ttlMs: LOCK_TTL_MS };
    holder = spawn(process.execPath, [HOLDER, JSON.stringify(args)], { stdio: ['pipe', 'pipe', 'inherit'] });
    return linesOf(holder);
  };

  const rows = async (): Promise<string[]> =>
    (await database.manager.find(ConfigEntity, { order: { id: 'ASC' } })).map(({ name }) => name);

  it('writes nothing after another one has taken over, when it is let go again', async () => {
    const lines = start();
    expect((await lines.next()).value).toBe('holds');
    holder.kill('SIGSTOP');
    const turn = await new Turns(kv.lock, database).run(NAME, { ttlMs: LOCK_TTL_MS, waitMs: 20_000 }, () =>
      database.transaction((manager) =>
        insertRow(manager, ConfigEntity, new Date(), { name: 'of the next one', value: '', userId: 1 }),
      ),
    );
    expect(turn).not.toBe('busy');
    holder.stdin?.write('go on\n');
    holder.kill('SIGCONT');
    expect((await lines.next()).value).toBe(`another process has taken over ${NAME}`);
    expect(await rows()).toEqual(['of the holder, in its turn', 'of the next one']);
  }, 60_000);

  it('goes on when nobody has taken over meanwhile', async () => {
    const lines = start();
    expect((await lines.next()).value).toBe('holds');
    holder.kill('SIGSTOP');
    holder.stdin?.write('go on\n');
    holder.kill('SIGCONT');
    expect((await lines.next()).value).toBe('wrote');
    expect(await rows()).toEqual(['of the holder, in its turn', 'of the holder, too late']);
  }, 60_000);
});
