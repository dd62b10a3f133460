import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { KeyValueStore } from './key-value-store.js';

/** Pause between two tries to take a lock that somebody else holds, in ms. */
export const LOCK_RETRY_MS = 50;

export interface LockOptions {
  /**
   * Time after which the lock frees itself when its holder is gone, in ms. A living holder renews it every third of it.
   * @default 30000
   */
  ttlMs?: number;
  /** Longest wait for the lock, in ms; 0 = one try. @default 0 */
  waitMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/** A lock that is held. */
export interface HeldLock {
  /** Fires when the lock was lost (renewal impossible for a whole ttl, or taken away): stop the guarded work. */
  readonly lost: AbortSignal;
  /** Frees the lock. May be called more than once; never throws for a lock that is already gone. */
  release(): Promise<void>;
}

/**
 * Named mutual exclusion over all processes that share a key-value store. Each lock is one key with a random token;
 * only the holder of the token renews or frees it.
 */
export class Lock {
  constructor(private readonly store: KeyValueStore) {}

  /**
   * Takes the lock.
   * @returns the held lock, or undefined when somebody else held it for the whole wait
   * @throws DfError as the store does, and `cancelled` when the signal fires
   */
  async acquire(name: string, options: LockOptions = {}): Promise<HeldLock | undefined> {
    const ttlMs = options.ttlMs ?? 30_000;
    const key = `lock:${name}`;
    const token = randomUUID();
    const giveUpAtMs = performance.now() + (options.waitMs ?? 0);
    for (;;) {
      options.signal?.throwIfAborted();
      if (await this.store.setIfAbsent(key, token, { ttlMs, signal: options.signal })) {
        return this.hold(key, token, ttlMs);
      }
      const leftMs = giveUpAtMs - performance.now();
      if (leftMs <= 0) {
        return undefined;
      }
      try {
        await delay(Math.min(LOCK_RETRY_MS, leftMs), undefined, { signal: options.signal });
      } catch (error) {
        throw DfError.from(error, 'cancelled');
      }
    }
  }

  /**
   * Runs `work` while holding the lock and frees it afterwards.
   * @returns what the work returned, or `'busy'` when the lock was not to be had
   */
  async run<T>(name: string, options: LockOptions, work: (lost: AbortSignal) => Promise<T>): Promise<T | 'busy'> {
    const held = await this.acquire(name, options);
    if (!held) {
      return 'busy';
    }
    try {
      return await work(held.lost);
    } finally {
      await held.release();
    }
  }

  private hold(key: string, token: string, ttlMs: number): HeldLock {
    const lost = new AbortController();
    let renewedAtMs = performance.now();
    let released = false;
    const renew = async (): Promise<void> => {
      try {
        if (await this.store.compareAndSet(key, token, token, { ttlMs })) {
          renewedAtMs = performance.now();
        } else if (!released) {
          lost.abort(new DfError('failed-precondition', `lock ${key} was taken away`));
        }
      } catch (error) {
        if (!released && performance.now() - renewedAtMs >= ttlMs) {
          lost.abort(DfError.from(error, 'unavailable'));
        }
      }
    };
    const timer = setInterval(() => void renew(), Math.max(1, Math.floor(ttlMs / 3)));
    timer.unref();
    return {
      lost: lost.signal,
      release: async () => {
        if (released) {
          return;
        }
        released = true;
        clearInterval(timer);
        try {
          await this.store.compareAndDelete(key, token);
        } catch (error) {
          // The key frees itself after its ttl; the guarded work is done, so its result must not be lost for this.
          lost.abort(DfError.from(error, 'unavailable'));
        }
      },
    };
  }
}
