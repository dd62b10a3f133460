import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyValueStore } from '@dragonfly/kv';
import { secretFile, writeSecretFile } from './secret-file.js';

const FILE_NAME = 'jwt.key';
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
  const file = join(dataDirectory, FILE_NAME);
  const own = secretFile(file, 'signing key');
  if (!shared) {
    return Buffer.from(own);
  }
  await shared.setIfAbsent(SHARED_KEY, own);
  const common = (await shared.get(SHARED_KEY)) ?? own;
  if (common !== own) {
    // Kept here too, so that any of the managers can offer it again when the store has lost it.
    writeSecretFile(file, common, renameSync);
  }
  return Buffer.from(common);
}
