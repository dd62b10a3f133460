import { seal, unseal } from '@dragonfly/certificates/sealing';
import { DfError } from '@dragonfly/errors';

/** What the sealed secrets of a job hold. */
export interface SealedJob {
  /** The arguments with their secrets; absent when there were none. */
  readonly args?: Readonly<Record<string, unknown>>;
  readonly webhookSecret?: string;
}

/** What secrets of jobs are sealed for. */
const PURPOSE = 'manager jobs';

/** Seals secrets that have to be kept for a while (registry passwords of jobs, keys of webhooks) in the database. */
export class SecretBox {
  /** @param secret the same for all managers */
  constructor(private readonly secret: Uint8Array) {}

  seal(value: unknown): string {
    return seal(JSON.stringify(value), this.secret, PURPOSE);
  }

  /** @throws DfError `failed-precondition` when it was sealed with another key, or changed */
  open(text: string): unknown {
    let plain: string;
    try {
      plain = unseal(text, this.secret, PURPOSE);
    } catch (error) {
      throw new DfError('failed-precondition', "stored secrets cannot be read: the managers' signing key has changed", {
        cause: error,
      });
    }
    return JSON.parse(plain) as unknown;
  }
}
