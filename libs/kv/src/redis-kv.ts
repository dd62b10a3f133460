import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { Redis, RedisOptions } from 'ioredis';
import { checkIncrement, checkKey, checkScanLimit, checkTtl } from './arguments.js';
import { KeyValueStore, type KvCallOptions, type KvWriteOptions } from './key-value-store.js';
import type { Kv } from './kv.js';
import { Lock } from './lock.js';
import { deliver } from './memory-kv.js';
import { PubSub, type MessageListener } from './pub-sub.js';
import { RedisConnection } from './redis-connection.js';
import { connectionOptions, type RedisPlace } from './redis-place.js';
import { RedisRecordStore } from './redis-records.js';

export interface RedisKvOptions extends RedisPlace {
  /** Number of the database. @default 0 */
  db?: number;
  /** Longest wait for the answer to one command, the connection set-up included, in ms. @default 5000 */
  commandTimeoutMs?: number;
  /** Longest wait for a connection, in ms. @default 5000 */
  connectTimeoutMs?: number;
  /** Told about lost connections and subscribers that threw. @default ignored */
  onError?: (error: unknown) => void;
}

/** Pause before the first reconnect, in ms; doubled up to {@link RECONNECT_MAX_MS}. */
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 3_000;
/** Longest wait for the server to take note of a closed connection, in ms. */
const DISCONNECT_TIMEOUT_MS = 200;
/** Keys that one SCAN step looks at. */
const SCAN_STEP = 500;
/** A subscription that could not be restored is tried again after so many ms. */
const RESUBSCRIBE_MS = 1_000;

const COMPARE_AND_SET = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`;
const COMPARE_AND_DELETE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;
const INCREMENT = `
local created = redis.call('EXISTS', KEYS[1]) == 0
local n = redis.call('INCRBY', KEYS[1], ARGV[1])
if created and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return n`;

function redisOptions(o: RedisKvOptions): RedisOptions {
  return {
    ...connectionOptions(o, backoff),
    db: o.db ?? 0,
    lazyConnect: true,
    connectTimeout: o.connectTimeoutMs ?? 5_000,
    retryStrategy: backoff,
    // A server that does not answer the end of the connection must not keep the process for the default of 2 s.
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    // Commands wait for the connection in RedisConnection, bounded by their deadline: ioredis' own queue has no bound
    // and would run a command long after its caller has given up.
    maxRetriesPerRequest: null,
    enableOfflineQueue: false,
    // A command that was on its way when the connection broke may have run: it must fail, never run twice.
    autoResendUnfulfilledCommands: false,
  };
}

function backoff(attempt: number): number {
  return Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt - 1, 10));
}

/** Key-value store on a Redis server. */
class RedisKeyValueStore extends KeyValueStore {
  private readonly redis: Redis;

  constructor(private readonly connection: RedisConnection) {
    super();
    this.redis = connection.redis;
  }

  override async get(key: string, options?: KvCallOptions): Promise<string | undefined> {
    checkKey(key);
    return (await this.run('GET', options, () => this.redis.get(key))) ?? undefined;
  }

  override async set(key: string, value: string, options?: KvWriteOptions): Promise<void> {
    const ttlMs = this.check(key, options);
    await this.run('SET', options, () =>
      ttlMs === undefined ? this.redis.set(key, value) : this.redis.set(key, value, 'PX', ttlMs),
    );
  }

  override async setIfAbsent(key: string, value: string, options?: KvWriteOptions): Promise<boolean> {
    const ttlMs = this.check(key, options);
    const answer = await this.run('SET NX', options, () =>
      ttlMs === undefined ? this.redis.set(key, value, 'NX') : this.redis.set(key, value, 'PX', ttlMs, 'NX'),
    );
    return answer === 'OK';
  }

  override async compareAndSet(
    key: string,
    expected: string,
    value: string,
    options?: KvWriteOptions,
  ): Promise<boolean> {
    const ttlMs = this.check(key, options);
    const answer = await this.run('compare and set', options, () =>
      this.redis.eval(COMPARE_AND_SET, 1, key, expected, value, ttlMs === undefined ? '' : String(ttlMs)),
    );
    return answer === 1;
  }

  override async compareAndDelete(key: string, expected: string, options?: KvCallOptions): Promise<boolean> {
    checkKey(key);
    const answer = await this.run('compare and delete', options, () =>
      this.redis.eval(COMPARE_AND_DELETE, 1, key, expected),
    );
    return answer === 1;
  }

  override async delete(key: string, options?: KvCallOptions): Promise<boolean> {
    checkKey(key);
    return (await this.run('DEL', options, () => this.redis.del(key))) === 1;
  }

  override async increment(key: string, by = 1, options?: KvWriteOptions): Promise<number> {
    const ttlMs = this.check(key, options);
    checkIncrement(by);
    const answer = await this.run('increment', options, () =>
      this.redis.eval(INCREMENT, 1, key, String(by), ttlMs === undefined ? '' : String(ttlMs)),
    );
    return Number(answer);
  }

  override async scan(prefix: string, limit: number, options?: KvCallOptions): Promise<string[]> {
    checkScanLimit(limit);
    const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    // SCAN may show a key twice.
    const keys = new Set<string>();
    let cursor = '0';
    do {
      const from = cursor;
      const [next, page] = await this.run('SCAN', options, () =>
        this.redis.scan(from, 'MATCH', pattern, 'COUNT', SCAN_STEP),
      );
      for (const key of page) {
        keys.add(key);
        if (keys.size === limit) {
          return [...keys];
        }
      }
      cursor = next;
    } while (cursor !== '0');
    return [...keys];
  }

  override async ping(options?: KvCallOptions): Promise<void> {
    await this.run('PING', options, () => this.redis.ping());
  }

  /** Checks the arguments; the ttl in whole ms, as Redis wants it. */
  private check(key: string, options: KvWriteOptions | undefined): number | undefined {
    checkKey(key);
    checkTtl(options?.ttlMs);
    return options?.ttlMs === undefined ? undefined : Math.ceil(options.ttlMs);
  }

  private run<T>(what: string, options: KvCallOptions | undefined, command: () => Promise<T>): Promise<T> {
    return this.connection.run(what, options?.signal, command);
  }
}

/** Publish and subscribe over a Redis server; subscriptions use a connection of their own, made at the first one. */
class RedisPubSub extends PubSub {
  private readonly channels = new Map<string, Set<{ listener: MessageListener }>>();
  private readonly closing = new AbortController();
  private subscriber: RedisConnection | undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly onError: (error: unknown) => void,
  ) {
    super();
  }

  override async publish(channel: string, message: string): Promise<void> {
    await this.connection.run('PUBLISH', this.closing.signal, () => this.connection.redis.publish(channel, message));
  }

  override async subscribe(channel: string, listener: MessageListener): Promise<() => Promise<void>> {
    const subscriber = this.subscriberConnection();
    const subscription = { listener };
    const subscriptions = this.channels.get(channel) ?? new Set();
    subscriptions.add(subscription);
    this.channels.set(channel, subscriptions);
    const unsubscribe = async (): Promise<void> => {
      if (!subscriptions.delete(subscription) || subscriptions.size > 0) {
        return;
      }
      this.channels.delete(channel);
      if (!this.closing.signal.aborted) {
        await subscriber.run('UNSUBSCRIBE', this.closing.signal, () => subscriber.redis.unsubscribe(channel));
      }
    };
    try {
      await subscriber.run('SUBSCRIBE', this.closing.signal, () => subscriber.redis.subscribe(channel));
    } catch (error) {
      subscriptions.delete(subscription);
      if (subscriptions.size === 0) {
        this.channels.delete(channel);
      }
      throw error;
    }
    return unsubscribe;
  }

  close(): void {
    this.closing.abort(new DfError('unavailable', 'pub-sub is closed'));
    this.channels.clear();
    this.subscriber?.redis.disconnect();
  }

  private subscriberConnection(): RedisConnection {
    if (this.closing.signal.aborted) {
      throw new DfError('unavailable', 'pub-sub is closed');
    }
    if (!this.subscriber) {
      const subscriber = this.connection.duplicate();
      subscriber.redis.on('error', this.onError);
      subscriber.redis.on('message', (channel: string, message: string) => {
        for (const { listener } of [...(this.channels.get(channel) ?? [])]) {
          deliver(listener, message, this.onError);
        }
      });
      // ioredis subscribes again after a reconnect; a failure of that (a second break in between) is ours to retry.
      subscriber.redis.on('ready', () => void this.restore(subscriber));
      this.subscriber = subscriber;
    }
    return this.subscriber;
  }

  private async restore(subscriber: RedisConnection): Promise<void> {
    while (!this.closing.signal.aborted && subscriber.redis.status === 'ready' && this.channels.size > 0) {
      try {
        await subscriber.run('SUBSCRIBE', this.closing.signal, () =>
          subscriber.redis.subscribe(...this.channels.keys()),
        );
        return;
      } catch (error) {
        this.onError(error);
      }
      await delay(RESUBSCRIBE_MS, undefined, { ref: false });
    }
  }
}

/**
 * Opens a store on Redis. Nothing is connected before the first command; a lost connection is made again with pauses
 * of 50 ms to 3 s, while commands wait for at most `commandTimeoutMs`.
 */
export function createRedisKv(options: RedisKvOptions): Kv {
  const onError = options.onError ?? ((): void => undefined);
  // Loaded only here: a service without Redis saves some megabytes.
  const { Redis: Client } = createRequire(import.meta.url)('ioredis') as typeof import('ioredis');
  const redis: Redis = new Client(redisOptions(options));
  redis.on('error', onError);
  const connection = new RedisConnection(redis, options.commandTimeoutMs ?? 5_000);
  const store = new RedisKeyValueStore(connection);
  const pubSub = new RedisPubSub(connection, onError);
  return {
    kind: 'redis',
    store,
    records: new RedisRecordStore(connection),
    lock: new Lock(store),
    pubSub,
    close: async () => {
      pubSub.close();
      redis.disconnect();
    },
  };
}
