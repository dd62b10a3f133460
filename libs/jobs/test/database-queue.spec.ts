import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { jest } from '@jest/globals';
import { Database, type DatabaseOptions } from '@dragonfly/persistence';
import { MariaDbServer, tempDir } from '@dragonfly/testkit';
import { queueConformanceCases } from '../src/conformance/index.js';
import { DatabaseJobQueue } from '../src/database-queue.js';

const directory = tempDir('jobs');
const mariaDb = await MariaDbServer.startIfPresent();
if (!mariaDb) {
  console.warn(`skip: the database queue is not tested on MariaDB here: ${MariaDbServer.missingReason}`);
}
afterAll(async () => {
  await mariaDb?.stop();
  directory.remove();
});

interface Engine {
  name: string;
  fresh(): Promise<DatabaseOptions>;
}

const engines: Engine[] = [
  { name: 'SQLite', fresh: async () => ({ type: 'sqlite', path: directory.file(`${randomUUID()}.db`) }) },
  ...(mariaDb
    ? [
        {
          name: 'MariaDB',
          fresh: async (): Promise<DatabaseOptions> => {
            const database = `j_${randomUUID().replaceAll('-', '')}`;
            await mariaDb.createDatabase(database);
            return { type: 'mariadb', host: '127.0.0.1', port: mariaDb.port, user: 'root', password: '', database };
          },
        },
      ]
    : []),
];

describe.each(engines)('job queue in the database on $name', ({ fresh }) => {
  let options: DatabaseOptions;
  let database: Database;
  let opened: DatabaseJobQueue[];
  const errors: unknown[] = [];

  const open = (over: { isSoleProcess?: boolean; leaseMs?: number } = {}): DatabaseJobQueue => {
    const queue = new DatabaseJobQueue({
      database,
      name: 'test',
      leaseMs: 600,
      pollMs: 50,
      onError: (error) => errors.push(error),
      ...over,
    });
    opened.push(queue);
    return queue;
  };

  beforeEach(async () => {
    options = await fresh();
    database = await Database.open(options);
    await database.migrate();
    opened = [];
    errors.length = 0;
  });
  afterEach(async () => {
    await Promise.all(opened.map((queue) => queue.close()));
    await database.close();
    expect(errors).toEqual([]);
  });

  it.each(queueConformanceCases)('$name', async ({ run }) => {
    await run({
      queue: open(),
      second: () => open(),
      dying: () => {
        // A database connection of its own, so that it can go silent.
        const other = Database.open(options);
        const queue = new LateQueue(other);
        return { queue, die: () => queue.die() };
      },
    });
  });

  it('takes up at once what the process before held, when it is the only one', async () => {
    const before = open({ isSoleProcess: true, leaseMs: 60_000 });
    const started = Promise.withResolvers<void>();
    const never = Promise.withResolvers<void>();
    await before.work({
      handlers: {
        x: async () => {
          started.resolve();
          await never.promise;
        },
      },
    });
    const id = await before.enqueue({ kind: 'x', payload: {} });
    await started.promise;
    const after = open({ isSoleProcess: true, leaseMs: 60_000 });
    const ran = Promise.withResolvers<string>();
    await after.work({ handlers: { x: async (job) => ran.resolve(job.id) } });
    await expect(ran.promise).resolves.toBe(id);
    never.resolve();
  });

  it.each([{ isSoleProcess: true }, { isSoleProcess: false }])(
    'runs an entry again whose end could not be written, once its lease is over ($isSoleProcess)',
    async (mode) => {
      const queue = open({ ...mode, leaseMs: 300 });
      const again = Promise.withResolvers<number>();
      const others = Promise.withResolvers<void>();
      let isAway = false;
      const transaction = database.transaction.bind(database);
      jest.spyOn(database, 'transaction').mockImplementation((work) => {
        if (!isAway) return transaction(work);
        isAway = false;
        return Promise.reject(new DfError('unavailable', 'database: away for once'));
      });
      await queue.work({
        handlers: {
          x: async ({ attempt }) => {
            if (attempt === 1) isAway = true;
            else again.resolve(attempt);
          },
          // Something runs all the time: leases are renewed.
          y: () => others.promise,
        },
      });
      await queue.enqueue({ kind: 'y', payload: {} });
      await queue.enqueue({ kind: 'x', payload: {} });
      expect(await again.promise).toBe(2);
      others.resolve();
      expect(errors.splice(0)).toMatchObject([{ message: 'database: away for once' }]);
    },
  );
});

/** A queue over a database that is being opened, which can die without a word. */
class LateQueue extends DatabaseJobQueue {
  constructor(private readonly opening: Promise<Database>) {
    super({ database: undefined as never, name: 'test', leaseMs: 600, pollMs: 50 });
  }

  private inner: DatabaseJobQueue | undefined;

  override async work(options: Parameters<DatabaseJobQueue['work']>[0]): Promise<void> {
    this.inner = new DatabaseJobQueue({ database: await this.opening, name: 'test', leaseMs: 600, pollMs: 50 });
    await this.inner.work(options);
  }

  async die(): Promise<void> {
    await (await this.opening).close();
    // Ends its timers; what it wants to write comes to nothing.
    await this.inner?.close();
  }
}
