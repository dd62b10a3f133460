import { hash, verify } from '@node-rs/bcrypt';

/** Rounds of new hashes, as a power of two; older ones with less are still verified. */
const BCRYPT_COST = 10;

/** bcrypt hash in the form that the original reads too. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, { cost: BCRYPT_COST, version: '2a' });
}

let decoy: Promise<string> | undefined;

/**
 * Whether the password fits the hash. A missing hash takes as long as a wrong password, so that answers do not tell
 * which accounts exist.
 */
export async function verifyPassword(password: string, encrypted: string | null | undefined): Promise<boolean> {
  if (!encrypted) {
    decoy ??= hashPassword('no account has this password');
    await verify(password, await decoy);
    return false;
  }
  return verify(password, encrypted);
}
