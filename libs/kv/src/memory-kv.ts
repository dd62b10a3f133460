import { DfError } from '@dragonfly/errors';
import { checkIncrement, checkKey, checkScanLimit, checkTtl } from './arguments.js';
import { KeyValueStore, type KvCallOptions, type KvWriteOptions } from './key-value-store.js';
import { ExpiringMap } from './expiring-map.js';
import type { Kv } from './kv.js';
import { Lock } from './lock.js';
import { MemoryRecordStore } from './memory-records.js';
import { PubSub, type MessageListener } from './pub-sub.js';

const DEFAULT_MAX_KEYS = 1_000_000;
const steadyNow = (): number => performance.now();

export interface MemoryKvOptions {
  /** Most live keys of each kind (texts, records, sets); a write of a further key fails with `resource-exhausted`. @default 1000000 */
  maxKeys?: number;
  /** Clock in ms that never goes back: a change of the machine's clock is to end no lease. @default performance.now */
  now?: () => number;
  /** Told about a subscriber that threw. @default ignored */
  onError?: (error: unknown) => void;
}

/** Key-value store of one process: for the embedded set-up and for tests. */
export class MemoryKeyValueStore extends KeyValueStore {
  private readonly entries: ExpiringMap<string>;
  private closed = false;

  constructor(options: MemoryKvOptions = {}) {
    super();
    this.entries = new ExpiringMap(options.maxKeys ?? DEFAULT_MAX_KEYS, options.now ?? steadyNow);
  }

  override async get(key: string, options?: KvCallOptions): Promise<string | undefined> {
    this.check(key, options);
    return this.entries.get(key);
  }

  override async set(key: string, value: string, options?: KvWriteOptions): Promise<void> {
    this.check(key, options);
    this.entries.set(key, value, options?.ttlMs);
  }

  override async setIfAbsent(key: string, value: string, options?: KvWriteOptions): Promise<boolean> {
    this.check(key, options);
    if (this.entries.has(key)) {
      return false;
    }
    this.entries.set(key, value, options?.ttlMs);
    return true;
  }

  override async compareAndSet(
    key: string,
    expected: string,
    value: string,
    options?: KvWriteOptions,
  ): Promise<boolean> {
    this.check(key, options);
    if (this.entries.get(key) !== expected) {
      return false;
    }
    this.entries.set(key, value, options?.ttlMs);
    return true;
  }

  override async compareAndDelete(key: string, expected: string, options?: KvCallOptions): Promise<boolean> {
    this.check(key, options);
    return this.entries.get(key) === expected && this.entries.delete(key);
  }

  override async delete(key: string, options?: KvCallOptions): Promise<boolean> {
    this.check(key, options);
    return this.entries.delete(key);
  }

  override async increment(key: string, by = 1, options?: KvWriteOptions): Promise<number> {
    this.check(key, options);
    checkIncrement(by);
    const value = this.entries.get(key);
    if (value === undefined) {
      this.entries.set(key, String(by), options?.ttlMs);
      return by;
    }
    if (!/^-?\d{1,15}$/.test(value)) {
      throw new DfError('failed-precondition', `key ${key} holds no integer`);
    }
    const next = Number(value) + by;
    this.entries.replace(key, String(next));
    return next;
  }

  override async scan(prefix: string, limit: number, options?: KvCallOptions): Promise<string[]> {
    this.checkOpen(options);
    checkScanLimit(limit);
    const keys: string[] = [];
    for (const key of this.entries.keys()) {
      if (key.startsWith(prefix)) {
        keys.push(key);
        if (keys.length === limit) {
          break;
        }
      }
    }
    return keys;
  }

  override async ping(options?: KvCallOptions): Promise<void> {
    this.checkOpen(options);
  }

  close(): void {
    this.closed = true;
    this.entries.clear();
  }

  private check(key: string, options: KvWriteOptions | undefined): void {
    this.checkOpen(options);
    checkKey(key);
    checkTtl(options?.ttlMs);
  }

  private checkOpen(options: KvCallOptions | undefined): void {
    if (this.closed) {
      throw new DfError('unavailable', 'key-value store is closed');
    }
    if (options?.signal?.aborted) {
      throw DfError.from(options.signal.reason, 'cancelled');
    }
  }
}

/** Publish and subscribe inside one process; listeners run in a later microtask, never inside `publish`. */
export class MemoryPubSub extends PubSub {
  private readonly channels = new Map<string, Set<{ listener: MessageListener }>>();
  private closed = false;

  constructor(private readonly onError: (error: unknown) => void = () => undefined) {
    super();
  }

  override async publish(channel: string, message: string): Promise<void> {
    this.checkOpen();
    for (const subscription of this.channels.get(channel) ?? []) {
      queueMicrotask(() => {
        // Read again: the subscription may have ended between the publish and now.
        if (this.channels.get(channel)?.has(subscription)) {
          deliver(subscription.listener, message, this.onError);
        }
      });
    }
  }

  override async subscribe(channel: string, listener: MessageListener): Promise<() => Promise<void>> {
    this.checkOpen();
    const subscription = { listener };
    const subscriptions = this.channels.get(channel) ?? new Set();
    subscriptions.add(subscription);
    this.channels.set(channel, subscriptions);
    return async () => {
      subscriptions.delete(subscription);
      if (subscriptions.size === 0 && this.channels.get(channel) === subscriptions) {
        this.channels.delete(channel);
      }
    };
  }

  close(): void {
    this.closed = true;
    this.channels.clear();
  }

  private checkOpen(): void {
    if (this.closed) {
      throw new DfError('unavailable', 'pub-sub is closed');
    }
  }
}

/** Calls a listener; its error goes to `onError` instead of the publisher. */
export function deliver(listener: MessageListener, message: string, onError: (error: unknown) => void): void {
  try {
    listener(message);
  } catch (error) {
    onError(error);
  }
}

/** Opens a store inside this process. */
export function createMemoryKv(options: MemoryKvOptions = {}): Kv {
  const store = new MemoryKeyValueStore(options);
  const records = new MemoryRecordStore(options.maxKeys ?? DEFAULT_MAX_KEYS, options.now ?? steadyNow);
  const pubSub = new MemoryPubSub(options.onError);
  return {
    kind: 'memory',
    store,
    records,
    lock: new Lock(store),
    pubSub,
    close: async () => {
      store.close();
      records.close();
      pubSub.close();
    },
  };
}
