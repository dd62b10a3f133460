import { DfError } from '@dragonfly/errors';
import type { ManagerConfig } from './manager-config.js';

/** Signing keys that stand in public examples, charts and older releases: whoever knows them can sign in as anybody. */
const PUBLIC_JWT_KEYS: ReadonlySet<string> = new Set(['ZHJhZ29uZmx5Cg==', 'ZHJhZ29uZmx5', 'dragonfly', 'Secret Key']);
/** Passwords of public examples and charts. */
const PUBLIC_PASSWORDS: ReadonlySet<string> = new Set([
  'dragonfly',
  'dragonfly-root',
  'your_mysql_password',
  'password',
]);

/**
 * Refuses secrets that everybody knows.
 * @returns what was let through because of `isInsecureAllowed`, as warnings
 * @throws DfError `invalid-argument` naming each key
 */
export function checkKnownSecrets(config: ManagerConfig, isInsecureAllowed: boolean): string[] {
  const found: string[] = [];
  if (PUBLIC_JWT_KEYS.has(config.auth.jwt.key.trim())) {
    found.push('auth.jwt.key: is the key of the public examples; leave it out to have one made at the first start');
  }
  if (PUBLIC_PASSWORDS.has(config.database.mysql?.password ?? '')) {
    found.push('database.mysql.password: is a password of the public examples');
  }
  if (PUBLIC_PASSWORDS.has(config.database.redis.password)) {
    found.push('database.redis.password: is a password of the public examples');
  }
  if (found.length > 0 && !isInsecureAllowed) {
    throw new DfError(
      'invalid-argument',
      [...found, 'start with --insecure-dev to accept this on a test machine'].join('\n'),
    );
  }
  return found;
}
