import { DfError } from '@dragonfly/errors';
import { KeyValueStore } from '@dragonfly/kv';
import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';

/** Failures are counted for so long after the first one. */
const WINDOW_MS = 15 * 60_000;
/**
 * Failures in a window before further tries are refused. The account alone may fail oftener than from one address, so
 * that a stranger cannot lock its owner out with a handful of tries.
 */
const MAX_FAILURES = { pair: 10, address: 100, account: 200 } as const;

/** Holds up whoever guesses passwords; counts in the key-value store, so over all managers. */
@Injectable()
export class LoginThrottle {
  constructor(private readonly store: KeyValueStore) {}

  /**
   * To be called before a password is looked at.
   * @param account name of the account, whether it exists or not
   * @param address IP of the client
   * @throws DfError `resource-exhausted` (429 with Retry-After); a store that does not answer holds nobody up
   */
  async check(account: string, address: string): Promise<void> {
    const counts = await Promise.all(
      entries(account, address).map(async ([key, limit]) => ({ count: await this.count(key), limit })),
    );
    if (counts.some(({ count, limit }) => count >= limit)) {
      throw new DfError('resource-exhausted', 'too many failed sign-ins, try again later', {
        retryable: true,
        details: { retryAfterS: WINDOW_MS / 1_000 },
      });
    }
  }

  /** To be called after a wrong password. */
  async failed(account: string, address: string): Promise<void> {
    await Promise.all(
      entries(account, address).map(([key]) => ifThere(() => this.store.increment(key, 1, { ttlMs: WINDOW_MS }), 0)),
    );
  }

  /** To be called after the right password: the account's own mistakes are forgotten. */
  async succeeded(account: string, address: string): Promise<void> {
    const [[pair] = ['']] = entries(account, address);
    await ifThere(() => this.store.delete(pair), false);
  }

  private async count(key: string): Promise<number> {
    return Number((await ifThere(() => this.store.get(key), undefined)) ?? 0);
  }
}

/** Keys and limits of the three counters; names and addresses are hashed: their length and characters are anybody's. */
function entries(account: string, address: string): [string, number][] {
  const key = (kind: string, value: string): string =>
    `sign-in:${kind}:${createHash('sha256').update(value).digest('base64url')}`;
  return [
    [key('pair', `${account}\0${address}`), MAX_FAILURES.pair],
    [key('address', address), MAX_FAILURES.address],
    [key('account', account), MAX_FAILURES.account],
  ];
}

async function ifThere<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (DfError.from(error).retryable) {
      return otherwise;
    }
    throw error;
  }
}
