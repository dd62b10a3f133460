import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { DfError } from '@dragonfly/errors';

const VERSION = 'v1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts a secret for keeping: AES-256-GCM under a key derived from `secret`.
 * @param purpose bound to the result: what is sealed for one purpose opens for no other
 * @returns `v1.<base64url of nonce, tag and cipher text>`
 */
export function seal(plain: string, secret: Uint8Array, purpose: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, purpose), nonce);
  const encrypted = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return `${VERSION}.${Buffer.concat([nonce, cipher.getAuthTag(), encrypted]).toString('base64url')}`;
}

/** @throws DfError failed-precondition for another secret or purpose, or damaged text */
export function unseal(sealed: string, secret: Uint8Array, purpose: string): string {
  const [version, body = ''] = sealed.split('.', 2);
  const bytes = Buffer.from(body, 'base64url');
  if (version !== VERSION || bytes.length < NONCE_BYTES + TAG_BYTES) {
    throw new DfError('failed-precondition', 'a sealed secret of an unknown form');
  }
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyFor(secret, purpose), bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch (error) {
    throw new DfError('failed-precondition', 'a sealed secret does not open with the configured key', { cause: error });
  }
}

function keyFor(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `dragonfly ${purpose}`, 32));
}
