import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { link, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { closeFile, ifPresent, openFile } from './file-io.js';

const LOCK_FILE = 'lock';
/** A dead owner's socket refuses at once; a live one that is stopped or busy is still accepted by the kernel. */
const CONNECT_TIMEOUT_MS = 1000;
/** Two processes that take over the same stale lock at the same time: the later rename wins, the other sees it. */
const TAKEOVER_SETTLE_MS = 100;
const MAX_ATTEMPTS = 5;

interface LockRecord {
  readonly pid: number;
  readonly startedAt: string;
  /** File name, beside the lock, of the unix socket that the owner listens on for as long as it lives. */
  readonly socket: string;
}

/**
 * Exclusive use of a directory, given up by the kernel when the owner dies.
 *
 * Node offers no file locks, and a pid alone proves little (it is reused, and it means nothing across containers that
 * share a volume). So the lock file names a unix socket in the same directory: while the owner lives a connection
 * succeeds, after any kind of death it is refused, and then the lock is stale and is taken over.
 */
export class DirectoryLock {
  readonly #lockPath: string;
  readonly #record: LockRecord;
  readonly #server: net.Server;
  readonly #socketPath: string;

  private constructor(lockPath: string, record: LockRecord, server: net.Server, socketPath: string) {
    this.#lockPath = lockPath;
    this.#record = record;
    this.#server = server;
    this.#socketPath = socketPath;
  }

  /**
   * @throws DfError `failed-precondition` when a living process holds the directory; `details.pid` names it
   */
  static async acquire(directory: string): Promise<DirectoryLock> {
    const lockPath = path.join(directory, LOCK_FILE);
    const socket = `lock-${process.pid}-${randomBytes(4).toString('hex')}.sock`;
    const socketPath = path.join(directory, socket);
    const record: LockRecord = { pid: process.pid, startedAt: new Date().toISOString(), socket };
    const server = await listenIn(directory, socket);
    const temporary = `${socketPath}.lock`;
    try {
      // Complete before it is visible: nobody ever reads half a lock.
      await writeFile(temporary, `${JSON.stringify(record)}\n`);
      await claim(directory, lockPath, temporary, record);
    } catch (error) {
      server.close();
      await ifPresent(unlink(socketPath));
      throw error;
    } finally {
      await ifPresent(unlink(temporary));
    }
    return new DirectoryLock(lockPath, record, server, socketPath);
  }

  async release(): Promise<void> {
    const current = await readLock(this.#lockPath);
    if (current?.socket === this.#record.socket) await ifPresent(unlink(this.#lockPath));
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await ifPresent(unlink(this.#socketPath));
  }
}

async function claim(directory: string, lockPath: string, temporary: string, record: LockRecord): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    try {
      await link(temporary, lockPath);
      return;
    } catch (error) {
      if (!isErrnoException(error) || error.code !== 'EEXIST') throw error;
    }
    const holder = await readLock(lockPath);
    if (holder !== undefined && (await isAlive(directory, holder))) {
      throw new DfError(
        'failed-precondition',
        `storage directory ${directory} is in use by process ${holder.pid} (since ${holder.startedAt}): ` +
          'stop it, or give this daemon another storage.dir',
        { details: { directory, pid: holder.pid } },
      );
    }
    if (await takeOver(directory, lockPath, temporary, record, holder)) return;
  }
  throw new DfError('failed-precondition', `storage directory ${directory}: other processes are locking it too`, {
    details: { directory },
    retryable: true,
  });
}

async function takeOver(
  directory: string,
  lockPath: string,
  temporary: string,
  record: LockRecord,
  dead: LockRecord | undefined,
): Promise<boolean> {
  const mine = `${temporary}.takeover`;
  await link(temporary, mine);
  await rename(mine, lockPath);
  await sleep(TAKEOVER_SETTLE_MS);
  if ((await readLock(lockPath))?.socket !== record.socket) return false;
  if (dead !== undefined) await ifPresent(unlink(path.join(directory, path.basename(dead.socket))));
  return true;
}

/** @returns undefined when there is none, or when it is not ours to understand (then it is taken over) */
async function readLock(lockPath: string): Promise<LockRecord | undefined> {
  const text = await ifPresent(readFile(lockPath, 'utf8'));
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<LockRecord>;
    if (typeof value.pid !== 'number' || typeof value.socket !== 'string') return undefined;
    return { pid: value.pid, socket: value.socket, startedAt: String(value.startedAt) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function isAlive(directory: string, holder: LockRecord): Promise<boolean> {
  const socket = path.basename(holder.socket);
  if ((await ifPresent(stat(path.join(directory, socket)))) === undefined) return false;
  return throughShortPath(directory, socket, (address) => canConnect(address));
}

function canConnect(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(address);
    connection.setTimeout(CONNECT_TIMEOUT_MS);
    const settle = (alive: boolean): void => {
      connection.destroy();
      resolve(alive);
    };
    connection.once('connect', () => settle(true));
    connection.once('timeout', () => settle(true));
    connection.once('error', (error) => settle(isErrnoException(error) && error.code === 'EAGAIN'));
  });
}

async function listenIn(directory: string, socket: string): Promise<net.Server> {
  const server = net.createServer((connection) => connection.destroy());
  server.unref();
  await throughShortPath(directory, socket, async (address) => {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  });
  return server;
}

/**
 * Socket addresses hold at most 107 bytes, storage directories may be deeper: on Linux the directory is reached
 * through an open descriptor.
 */
async function throughShortPath<T>(directory: string, name: string, use: (address: string) => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') return use(path.join(directory, name));
  const fd = await openFile(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return await use(`/proc/self/fd/${fd}/${name}`);
  } finally {
    await closeFile(fd);
  }
}
