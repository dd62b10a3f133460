import type { KeyValueStore } from '@dragonfly/kv';

export interface GenerationCacheOptions<T> {
  store: KeyValueStore;
  /** Key of the counter that all managers share. */
  key: string;
  load: () => Promise<T>;
  /** Oldest value that is handed out, for changes that no manager told about, in ms. */
  maxAgeMs: number;
  /** Told when the store does not answer; the value is then loaded without the cache. */
  onError: (error: unknown) => void;
  /** Called after each {@link GenerationCache.invalidate}, when every manager would load the new value. Never fails. */
  onInvalidated?: () => Promise<void>;
  /** A clock in ms that never goes back. @default performance.now */
  now?: () => number;
}

/**
 * A store that did not answer is not asked again for so long: it takes seconds to find out, and meanwhile every question
 * would wait for that. Values loaded past the cache are always fresh.
 */
const STORE_PAUSE_MS = 5_000;

/**
 * A value loaded from the database and kept until any manager changes what it was loaded from. Changes are seen at
 * once by every manager: the counter in the shared store is part of the question "is my value still good?".
 */
export class GenerationCache<T> {
  private held: { generation: string; loadedAtMs: number; value: Promise<T> } | undefined;
  private readonly now: () => number;
  /** The store is not asked before this time. */
  private storeAwayUntilMs = -Infinity;

  constructor(private readonly options: GenerationCacheOptions<T>) {
    this.now = options.now ?? ((): number => performance.now());
  }

  async get(): Promise<T> {
    if (this.now() < this.storeAwayUntilMs) {
      return this.options.load();
    }
    let generation: string;
    try {
      generation = (await this.options.store.get(this.options.key)) ?? '0';
    } catch (error) {
      this.options.onError(error);
      this.storeAwayUntilMs = this.now() + STORE_PAUSE_MS;
      return this.options.load();
    }
    const nowMs = this.now();
    if (this.held?.generation === generation && nowMs - this.held.loadedAtMs < this.options.maxAgeMs) {
      return this.held.value;
    }
    // Callers of the same moment share one load. The generation was read first: a change during the load makes the
    // next call load again.
    const held = { generation, loadedAtMs: nowMs, value: this.options.load() };
    this.held = held;
    held.value.catch(() => {
      if (this.held === held) {
        this.held = undefined;
      }
    });
    return held.value;
  }

  /** To be called after the change is committed. Never fails: without the store, values go stale for `maxAgeMs`. */
  async invalidate(): Promise<void> {
    this.held = undefined;
    try {
      await this.options.store.increment(this.options.key);
    } catch (error) {
      this.options.onError(error);
    }
    await this.options.onInvalidated?.();
  }
}
