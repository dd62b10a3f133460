import { DfError } from '@dragonfly/errors';

/** Expired keys are dropped when met, and all of them once in so many writes. */
const WRITES_BETWEEN_SWEEPS = 1_000;

interface Entry<V> {
  value: V;
  /** Absolute time on the map's clock; undefined = stays. */
  expiresAtMs: number | undefined;
}

/** A bounded map whose entries may disappear by themselves. */
export class ExpiringMap<V> {
  private readonly entries = new Map<string, Entry<V>>();
  private writesUntilSweep = WRITES_BETWEEN_SWEEPS;

  /** @param now clock in ms */
  constructor(
    private readonly maxKeys: number,
    private readonly now: () => number,
  ) {}

  get(key: string): V | undefined {
    return this.live(key)?.value;
  }

  has(key: string): boolean {
    return this.live(key) !== undefined;
  }

  /**
   * Writes the key; a former time to live is replaced, or taken away.
   * @throws DfError `resource-exhausted` for a further key when the map is full
   */
  set(key: string, value: V, ttlMs: number | undefined): void {
    if (--this.writesUntilSweep <= 0 || this.entries.size >= this.maxKeys) this.sweep();
    if (this.entries.size >= this.maxKeys && !this.entries.has(key)) {
      throw new DfError('resource-exhausted', `key-value store holds its limit of ${this.maxKeys} keys`);
    }
    this.entries.set(key, { value, expiresAtMs: ttlMs === undefined ? undefined : this.now() + ttlMs });
  }

  /** Changes the value and leaves the time to live alone. */
  replace(key: string, value: V): void {
    const entry = this.live(key);
    if (entry !== undefined) entry.value = value;
  }

  /** Makes the key live at least so much longer; one that stays keeps staying. */
  prolong(key: string, ttlMs: number): void {
    const entry = this.live(key);
    if (entry?.expiresAtMs !== undefined) entry.expiresAtMs = Math.max(entry.expiresAtMs, this.now() + ttlMs);
  }

  delete(key: string): boolean {
    return this.live(key) !== undefined && this.entries.delete(key);
  }

  /** Live keys, oldest first. */
  *keys(): IterableIterator<string> {
    for (const key of this.entries.keys()) {
      if (this.live(key) !== undefined) yield key;
    }
  }

  clear(): void {
    this.entries.clear();
  }

  private live(key: string): Entry<V> | undefined {
    const entry = this.entries.get(key);
    if (entry?.expiresAtMs !== undefined && entry.expiresAtMs <= this.now()) {
      this.entries.delete(key);
      return undefined;
    }
    return entry;
  }

  private sweep(): void {
    this.writesUntilSweep = WRITES_BETWEEN_SWEEPS;
    for (const key of this.entries.keys()) this.live(key);
  }
}
