import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';
import type { KeyValueStore } from '@dragonfly/kv';

const FILE_NAME = 'jwt.key';
const KEY_BYTES = 48;
const SHARED_KEY = 'manager:jwt-key';

/**
 * The key that session tokens are signed with, made at the first start and kept with mode 0600 in the data directory.
 *
 * Managers that share a Redis also share the key through it, so that a token of one is good at every other: the first
 * one to start offers its own.
 */
export async function signingKey(
  configured: string,
  dataDirectory: string,
  shared?: KeyValueStore,
): Promise<Uint8Array> {
  if (configured !== '') {
    return Buffer.from(configured);
  }
  const own = ownKey(dataDirectory);
  if (!shared) {
    return Buffer.from(own);
  }
  await shared.setIfAbsent(SHARED_KEY, own);
  const common = (await shared.get(SHARED_KEY)) ?? own;
  if (common !== own) {
    // Kept here too, so that any of the managers can offer it again when the store has lost it.
    writeKey(dataDirectory, common, (draft, file) => renameSync(draft, file));
  }
  return Buffer.from(common);
}

function ownKey(dataDirectory: string): string {
  const file = join(dataDirectory, FILE_NAME);
  try {
    return read(file);
  } catch (error) {
    if (!(isErrnoException(error) && error.code === 'ENOENT')) {
      throw error;
    }
  }
  writeKey(dataDirectory, randomBytes(KEY_BYTES).toString('base64'), (draft, target) => {
    try {
      // Unlike a rename, a link never replaces the key that another process has made meanwhile.
      linkSync(draft, target);
    } catch (error) {
      if (!(isErrnoException(error) && error.code === 'EEXIST')) {
        throw error;
      }
    }
  });
  return read(file);
}

/** Writes the key to a draft that only we can read, and lets `publish` put it in its place. */
function writeKey(dataDirectory: string, key: string, publish: (draft: string, file: string) => void): void {
  const file = join(dataDirectory, FILE_NAME);
  // Not the process id: containers that share the directory may all have the same one.
  const draft = `${file}.${randomUUID()}`;
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(draft, key, { mode: 0o600, flush: true });
    publish(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

function read(file: string): string {
  const key = readFileSync(file, 'utf8').trim();
  if (key.length < 32) {
    throw new DfError('failed-precondition', `${file}: holds no usable signing key; remove the file to get a new one`);
  }
  chmodSync(file, 0o600);
  return key;
}
