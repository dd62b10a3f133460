/**
 * Makes the passwords of the compose set-up once: `make-secrets.mjs DIRECTORY`. What is there already stays as it is, so that
 * every later start finds the passwords that the database was created with.
 *
 * Files: `mysql-root-password`, `mysql-password`, `redis-password` (the bare text) and `redis.conf` for the Redis server.
 * They are readable by every user of the containers that mount the volume; only those that need them do.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PASSWORD_BYTES = 24;

const directory = process.argv[2];
if (!directory) {
  console.error('usage: make-secrets.mjs DIRECTORY');
  process.exit(2);
}
mkdirSync(directory, { recursive: true });

/** @param {string} name @param {() => string} make @returns {string} the content, made now or earlier */
function once(name, make) {
  const file = join(directory, name);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
  }
  const content = make();
  // Renamed into place: an interrupted start leaves no half password behind.
  writeFileSync(`${file}.new`, content, { mode: 0o444 });
  renameSync(`${file}.new`, file);
  console.log(`made ${name}`);
  return content;
}

// Begins with a letter: nothing that reads configuration may take it for a number.
const password = () => `p${randomBytes(PASSWORD_BYTES).toString('hex')}`;
once('mysql-root-password', password);
once('mysql-password', password);
const redisPassword = once('redis-password', password);
once('redis.conf', () => `requirepass ${redisPassword}\nappendonly yes\n`);
