/** Options of every call that may leave the process. */
export interface KvCallOptions {
  /** Ends the wait for the answer; the command itself may still take effect. */
  signal?: AbortSignal;
}

/** Options of a call that writes a value. */
export interface KvWriteOptions extends KvCallOptions {
  /** Time until the key disappears by itself, in ms, > 0. Absent: the key stays. */
  ttlMs?: number;
}

/** Most keys one {@link KeyValueStore.scan} hands out, whatever the caller asks for. */
export const MAX_SCAN_KEYS = 10_000;

/**
 * String keys to string values, shared by all processes that use the same store.
 *
 * Keys are 1 … 1024 characters, values at most a few MiB. Every operation on one key is atomic. Expired keys are
 * absent for every operation. Operations fail with a DfError: `unavailable` when the store cannot be reached,
 * `deadline-exceeded` when it did not answer in time, `cancelled` when the signal fired, `invalid-argument` for an
 * illegal key or ttl.
 */
export abstract class KeyValueStore {
  /** Value of the key, or undefined when absent. */
  abstract get(key: string, options?: KvCallOptions): Promise<string | undefined>;

  /** Writes the key whether it exists or not; a former time to live is replaced (or taken away). */
  abstract set(key: string, value: string, options?: KvWriteOptions): Promise<void>;

  /** Writes the key only when it is absent. Returns whether it was written. */
  abstract setIfAbsent(key: string, value: string, options?: KvWriteOptions): Promise<boolean>;

  /** Writes the key only when it holds `expected` now. Returns whether it was written. */
  abstract compareAndSet(key: string, expected: string, value: string, options?: KvWriteOptions): Promise<boolean>;

  /** Deletes the key only when it holds `expected` now. Returns whether it was deleted. */
  abstract compareAndDelete(key: string, expected: string, options?: KvCallOptions): Promise<boolean>;

  /** Deletes the key. Returns whether it was there. */
  abstract delete(key: string, options?: KvCallOptions): Promise<boolean>;

  /**
   * Adds `by` (an integer) to the number under the key; an absent key counts as 0. The time to live is set only when
   * this call creates the key, so that counters of a time window end with the window.
   * @returns the new number
   * @throws DfError `failed-precondition` when the key holds no integer
   */
  abstract increment(key: string, by?: number, options?: KvWriteOptions): Promise<number>;

  /**
   * Keys that begin with `prefix`, in no order, at most `limit` (≤ {@link MAX_SCAN_KEYS}). Keys written or deleted
   * during the scan may be in the answer or not.
   */
  abstract scan(prefix: string, limit: number, options?: KvCallOptions): Promise<string[]>;

  /** Resolves when the store answers. */
  abstract ping(options?: KvCallOptions): Promise<void>;
}
