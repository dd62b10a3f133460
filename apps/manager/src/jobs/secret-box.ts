import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { DfError } from '@dragonfly/errors';

/** What the sealed secrets of a job hold. */
export interface SealedJob {
  /** The arguments with their secrets; absent when there were none. */
  readonly args?: Readonly<Record<string, unknown>>;
  readonly webhookSecret?: string;
}

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Begin of every sealed text; another one would be another way of sealing. */
const VERSION = 'v1.';

/**
 * Seals secrets that have to be kept for a while (registry passwords of jobs, keys of webhooks) in the database:
 * AES-256-GCM with a key made of the managers' signing key. Text: `v1.` + base64url of nonce | tag | ciphertext.
 */
export class SecretBox {
  private readonly key: Buffer;

  /** @param secret the same for all managers */
  constructor(secret: Uint8Array) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'dragonfly manager jobs', KEY_BYTES));
  }

  seal(value: unknown): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, nonce);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
    return VERSION + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** @throws DfError `failed-precondition` when it was sealed with another key, or changed */
  open(text: string): unknown {
    try {
      const bytes = Buffer.from(text.slice(VERSION.length), 'base64url');
      const decipher = createDecipheriv(ALGORITHM, this.key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const plain = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      return JSON.parse(plain.toString('utf8')) as unknown;
    } catch (error) {
      throw new DfError('failed-precondition', "stored secrets cannot be read: the managers' signing key has changed", {
        cause: error,
      });
    }
  }
}
