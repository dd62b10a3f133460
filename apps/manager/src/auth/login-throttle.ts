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

/** Accounts that one address may make in an hour. */
const MAX_SIGN_UPS = 100;
const SIGN_UP_WINDOW_MS = 3_600_000;

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

  /**
   * Counts one more account that was made from an address.
   * @throws DfError `resource-exhausted` (429 with Retry-After)
   */
  async countSignUp(address: string): Promise<void> {
    const [key] = counter('sign-up', address, MAX_SIGN_UPS);
    if ((await ifThere(() => this.store.increment(key, 1, { ttlMs: SIGN_UP_WINDOW_MS }), 0)) > MAX_SIGN_UPS) {
      throw new DfError('resource-exhausted', 'too many new accounts from this address, try again later', {
        retryable: true,
        details: { retryAfterS: SIGN_UP_WINDOW_MS / 1_000 },
      });
    }
  }

  private async count(key: string): Promise<number> {
    return Number((await ifThere(() => this.store.get(key), undefined)) ?? 0);
  }
}

/** Keys and limits of the three counters; names and addresses are hashed: their length and characters are anybody's. */
function entries(account: string, address: string): [string, number][] {
  return [
    counter('sign-in:pair', `${account}\0${address}`, MAX_FAILURES.pair),
    counter('sign-in:address', address, MAX_FAILURES.address),
    counter('sign-in:account', account, MAX_FAILURES.account),
  ];
}

function counter(kind: string, value: string, limit: number): [string, number] {
  return [`${kind}:${createHash('sha256').update(value).digest('base64url')}`, limit];
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
