import type { Belief } from './known-hosts.js';

const FIRST_CAPACITY = 256;
/** Pairs looked at when one has to make room. */
const EVICTION_SAMPLE = 8;

/** Pairs of one child, by the serial number of the parent: places in the table. */
export type PairsOfChild = ReadonlyMap<number, number>;

/**
 * What is known of pairs of hosts, each a belief that ages as in `EffectTable`. One decision asks about one child and many
 * parents, so each child has an index of its own, small enough for the processor's nearest cache. When the table is
 * full, a new pair takes the place of the one that was longest without news among the next few.
 */
export class KnownPairs {
  /** By the serial number of the child. */
  readonly #byChild = new Map<number, Map<number, number>>();
  #count = 0;
  #children = new Int32Array(FIRST_CAPACITY);
  #parents = new Int32Array(FIRST_CAPACITY);
  /** Deviation, variance and time of the last news, three a pair. */
  #beliefs = new Float64Array(FIRST_CAPACITY * 3);
  #hand = 0;

  constructor(
    readonly maxEntries: number,
    private readonly halfLifeMs: number,
    private readonly priorVariance: number,
  ) {}

  get size(): number {
    return this.#count;
  }

  /** @returns undefined when nothing is known of any pair of this child */
  ofChild(child: number): PairsOfChild | undefined {
    return this.#byChild.get(child);
  }

  deviation(slot: number | undefined, nowMs: number): number {
    return slot === undefined ? 0 : (this.#beliefs[slot * 3] ?? 0) * this.#memory(slot, nowMs);
  }

  variance(slot: number | undefined, nowMs: number): number {
    if (slot === undefined) return this.priorVariance;
    const memory = this.#memory(slot, nowMs) ** 2;
    return memory * (this.#beliefs[slot * 3 + 1] ?? 0) + (1 - memory) * this.priorVariance;
  }

  /** @param parent serial number, 1 and up; as that of the child */
  set(parent: number, child: number, { deviation, variance }: Belief, nowMs: number): void {
    const slot = this.#byChild.get(child)?.get(parent) ?? this.#add(parent, child);
    this.#beliefs[slot * 3] = deviation;
    this.#beliefs[slot * 3 + 1] = variance;
    this.#beliefs[slot * 3 + 2] = Math.max(this.#beliefs[slot * 3 + 2] ?? 0, nowMs);
  }

  #add(parent: number, child: number): number {
    const slot = this.#count < this.maxEntries ? this.#count++ : this.#evict();
    if (slot >= this.#children.length) this.#grow();
    this.#children[slot] = child;
    this.#parents[slot] = parent;
    this.#beliefs[slot * 3 + 2] = 0;
    const ofChild = this.#byChild.get(child);
    if (ofChild === undefined) this.#byChild.set(child, new Map([[parent, slot]]));
    else ofChild.set(parent, slot);
    return slot;
  }

  /** What is left of what was known then; a clock that runs backwards counts as one that stands still. */
  #memory(slot: number, nowMs: number): number {
    const thenMs = this.#beliefs[slot * 3 + 2] ?? 0;
    return nowMs <= thenMs ? 1 : 2 ** ((thenMs - nowMs) / this.halfLifeMs);
  }

  #evict(): number {
    let found = this.#hand;
    for (let step = 1; step < EVICTION_SAMPLE; step++) {
      const slot = (this.#hand + step) % this.maxEntries;
      if ((this.#beliefs[slot * 3 + 2] ?? 0) < (this.#beliefs[found * 3 + 2] ?? 0)) found = slot;
    }
    this.#hand = (this.#hand + EVICTION_SAMPLE) % this.maxEntries;
    const child = this.#children[found] ?? 0;
    const ofChild = this.#byChild.get(child);
    ofChild?.delete(this.#parents[found] ?? 0);
    if (ofChild?.size === 0) this.#byChild.delete(child);
    return found;
  }

  #grow(): void {
    const capacity = Math.max(1, Math.min(this.maxEntries, this.#children.length * 2));
    const [children, parents, beliefs] = [this.#children, this.#parents, this.#beliefs];
    this.#children = new Int32Array(capacity);
    this.#children.set(children);
    this.#parents = new Int32Array(capacity);
    this.#parents.set(parents);
    this.#beliefs = new Float64Array(capacity * 3);
    this.#beliefs.set(beliefs);
  }
}
