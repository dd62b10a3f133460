import { createHash } from 'node:crypto';

/** What stands before the digest in the `token` column. The original's tokens are base64url and never begin so. */
const HASH_PREFIX = 'sha256:';

/**
 * How a personal access token is kept: tokens are random (over 120 bits), so one round of SHA-256 is enough, and
 * equal tokens give equal rows, so that the unique key still finds them.
 */
export function accessTokenHash(token: string): string {
  return `${HASH_PREFIX}${createHash('sha256').update(token).digest('hex')}`;
}

/** Whether a `token` column holds a hash; rows that an original manager wrote hold the token itself. */
export function isAccessTokenHash(column: string): boolean {
  return column.startsWith(HASH_PREFIX);
}
