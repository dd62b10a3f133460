import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';

const SECRET_BYTES = 48;
const MIN_LENGTH = 32;

/**
 * The secret in a file, made when the file is not there; mode 0600. Of two processes that make it at the same time both get
 * the same one.
 * @param what it is, for the error message
 * @throws DfError failed-precondition when the file holds something else
 */
export function secretFile(file: string, what: string): string {
  try {
    return read(file, what);
  } catch (error) {
    if (!(isErrnoException(error) && error.code === 'ENOENT')) {
      throw error;
    }
  }
  writeSecretFile(file, randomBytes(SECRET_BYTES).toString('base64'), (draft, target) => {
    try {
      // Unlike a rename, a link never replaces the secret that another process has made meanwhile.
      linkSync(draft, target);
    } catch (error) {
      if (!(isErrnoException(error) && error.code === 'EEXIST')) {
        throw error;
      }
    }
  });
  return read(file, what);
}

/** Writes the secret to a draft that only we can read, and lets `publish` put it in its place. */
export function writeSecretFile(file: string, secret: string, publish: (draft: string, file: string) => void): void {
  // Not the process id: containers that share the directory may all have the same one.
  const draft = `${file}.${randomUUID()}`;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(draft, secret, { mode: 0o600, flush: true });
    publish(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

function read(file: string, what: string): string {
  const secret = readFileSync(file, 'utf8').trim();
  if (secret.length < MIN_LENGTH) {
    throw new DfError('failed-precondition', `${file}: holds no usable ${what}; remove the file to get a new one`);
  }
  chmodSync(file, 0o600);
  return secret;
}
