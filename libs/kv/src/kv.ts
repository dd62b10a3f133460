import type { KeyValueStore } from './key-value-store.js';
import type { Lock } from './lock.js';
import type { PubSub } from './pub-sub.js';
import type { RecordStore } from './record-store.js';

/** One connection to a store with everything that runs over it. */
export interface Kv {
  /** `memory` is seen by this process only; `redis` by all processes that use the same server and database. */
  readonly kind: 'memory' | 'redis';
  readonly store: KeyValueStore;
  /** Records and sets of the same store. */
  readonly records: RecordStore;
  readonly lock: Lock;
  readonly pubSub: PubSub;
  /** Ends timers and connections; calls after that fail with `unavailable`. May be called more than once. */
  close(): Promise<void>;
}
