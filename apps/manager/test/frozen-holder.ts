/**
 * A process that takes a turn, says so, and writes when it is told to; turns.spec.ts stops it in between. It runs the
 * built manager's own classes, with the types of this file stripped by Node.
 */
import { once } from 'node:events';
import { createMemoryKv, createRedisKv } from '@dragonfly/kv';
import { ConfigEntity, Database, type DatabaseOptions, insertRow } from '@dragonfly/persistence';
import { Turns } from '../dist/turns.js';

const {
  database: options,
  redis,
  name,
  ttlMs,
} = JSON.parse(process.argv[2] ?? '{}') as {
  database: DatabaseOptions;
  redis?: { host: string; port: number };
  name: string;
  ttlMs: number;
};
const database = await Database.open(options);
const kv = redis === undefined ? createMemoryKv() : createRedisKv({ addresses: [redis], db: 0 });
const write = (row: string): Promise<number> =>
  database.transaction((manager) => insertRow(manager, ConfigEntity, new Date(), { name: row, value: '', userId: 1 }));

await new Turns(kv.lock, database).run(name, { ttlMs, waitMs: 5_000 }, async () => {
  await write('of the holder, in its turn');
  process.stdout.write('holds\n');
  await once(process.stdin, 'data');
  const outcome = await write('of the holder, too late').then(
    () => 'wrote',
    (error: unknown) => (Error.isError(error) ? error.message : String(error)),
  );
  process.stdout.write(`${outcome}\n`);
});
process.stdin.destroy();
await kv.close();
await database.close();
