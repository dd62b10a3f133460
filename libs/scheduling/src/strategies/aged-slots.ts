const FIRST_CAPACITY = 256;
/** Entries looked at when one has to make room. */
const EVICTION_SAMPLE = 8;

/**
 * A bounded table of two numbers and a time per key, 24 bytes an entry beside the map from key to place. When it is full,
 * a new key takes the place of the one that was longest without news among the next few.
 */
export class AgedSlots<Key> {
  readonly #slots = new Map<Key, number>();
  readonly #keys: Key[] = [];
  first = new Float64Array(FIRST_CAPACITY);
  second = new Float64Array(FIRST_CAPACITY);
  #timesMs = new Float64Array(FIRST_CAPACITY);
  #hand = 0;

  constructor(readonly maxEntries: number) {}

  get size(): number {
    return this.#slots.size;
  }

  /** The place of the key; -1 when it is not there. */
  find(key: Key): number {
    return this.#slots.get(key) ?? -1;
  }

  /** Milliseconds since the last news; a clock that runs backwards counts as one that stands still. */
  ageMs(slot: number, nowMs: number): number {
    return Math.max(0, nowMs - (this.#timesMs[slot] ?? 0));
  }

  touch(slot: number, nowMs: number): void {
    this.#timesMs[slot] = Math.max(this.#timesMs[slot] ?? 0, nowMs);
  }

  /** A place for a key that has none. */
  allocate(key: Key, first: number, second: number, nowMs: number): number {
    const slot = this.#keys.length < this.maxEntries ? this.#keys.length : this.#evict();
    if (slot >= this.first.length) this.#grow();
    this.#keys[slot] = key;
    this.#slots.set(key, slot);
    this.first[slot] = first;
    this.second[slot] = second;
    this.#timesMs[slot] = nowMs;
    return slot;
  }

  #evict(): number {
    let found = this.#hand;
    for (let step = 1; step < EVICTION_SAMPLE; step++) {
      const slot = (this.#hand + step) % this.maxEntries;
      if ((this.#timesMs[slot] ?? 0) < (this.#timesMs[found] ?? 0)) found = slot;
    }
    this.#hand = (this.#hand + EVICTION_SAMPLE) % this.maxEntries;
    const key = this.#keys[found];
    if (key !== undefined) this.#slots.delete(key);
    return found;
  }

  #grow(): void {
    const capacity = Math.max(1, Math.min(this.maxEntries, this.first.length * 2));
    this.first = enlarged(this.first, capacity);
    this.second = enlarged(this.second, capacity);
    this.#timesMs = enlarged(this.#timesMs, capacity);
  }
}

function enlarged(source: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const target = new Float64Array(capacity);
  target.set(source);
  return target;
}
