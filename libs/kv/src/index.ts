/**
 * @packageDocumentation
 * Key-value, lock and pub-sub port with a memory and a Redis adapter.
 *
 * ```ts
 * const kv = createMemoryKv(); // or createRedisKv({ addresses: [{ host: '127.0.0.1', port: 6379 }] })
 * await kv.store.set('a', '1', { ttlMs: 1_000 });
 * await kv.lock.run('once', { ttlMs: 10_000 }, async () => doIt());
 * await kv.close();
 * ```
 */
export { KeyValueStore, MAX_SCAN_KEYS, type KvCallOptions, type KvWriteOptions } from './key-value-store.js';
export type { Kv } from './kv.js';
export { Lock, LOCK_RETRY_MS, type HeldLock, type LockOptions } from './lock.js';
export { createMemoryKv, MemoryKeyValueStore, MemoryPubSub, type MemoryKvOptions } from './memory-kv.js';
export { PubSub, type MessageListener } from './pub-sub.js';
export {
  MAX_MEMBERS,
  MAX_RECORDS,
  type RecordCondition,
  type RecordFields,
  RecordStore,
  type StoredRecord,
} from './record-store.js';
export { createRedisKv, type RedisKvOptions } from './redis-kv.js';
export {
  connectionOptions,
  type RedisAddress,
  type RedisPlace,
  redisPlaceOf,
  type RedisSection,
} from './redis-place.js';
