import { DfError } from '@dragonfly/errors';
import { hash, verify } from '@node-rs/bcrypt';

/** Rounds of new hashes, as a power of two; older ones with less are still verified. */
const BCRYPT_COST = 10;

/**
 * Passwords that are looked at or queued at once. Each takes tens of milliseconds of one of Node's few worker threads, and
 * everybody may sign in: without a bound a flood of attempts would hold up whatever else needs those threads.
 */
export const MAX_PASSWORDS_AT_ONCE = 32;
let atOnce = 0;

/** @throws DfError `resource-exhausted` */
async function bounded<T>(work: () => Promise<T>): Promise<T> {
  if (atOnce >= MAX_PASSWORDS_AT_ONCE) {
    throw new DfError('resource-exhausted', 'too many sign-ins at once, try again', { retryable: true });
  }
  atOnce += 1;
  try {
    return await work();
  } finally {
    atOnce -= 1;
  }
}

/** bcrypt hash in the form that the original reads too. */
export function hashPassword(password: string): Promise<string> {
  return bounded(() => hash(password, { cost: BCRYPT_COST, version: '2a' }));
}

let decoy: Promise<string> | undefined;

/**
 * Whether the password fits the hash. A missing hash takes as long as a wrong password, so that answers do not tell
 * which accounts exist.
 * @throws DfError `resource-exhausted`
 */
export function verifyPassword(password: string, encrypted: string | null | undefined): Promise<boolean> {
  return bounded(async () => {
    if (encrypted) {
      return verify(password, encrypted);
    }
    decoy ??= hash('no account has this password', { cost: BCRYPT_COST, version: '2a' });
    await verify(password, await decoy);
    return false;
  });
}
