const FIRST_CAPACITY = 256;
/** Hosts looked at when one has to make room. */
const EVICTION_SAMPLE = 8;

/** Numbers of one host as a parent, beside each other. */
const STRIDE = 6;
const DEVIATION = 0;
const VARIANCE = 1;
const NEWS_AT_MS = 2;
const TRIES = 3;
const FAILURES = 4;
const TRIED_AT_MS = 5;

/** A quantity of which a host's part is believed: see `EffectTable` for how it ages. */
export interface Belief {
  readonly deviation: number;
  readonly variance: number;
}

/**
 * What is known of hosts, in columns of numbers by a dense place that each host has while it is remembered. When the table
 * is full, a new host takes the place of the one that was longest without news among the next few.
 */
export class KnownHosts {
  readonly #slots = new Map<string, number>();
  readonly #ids: string[] = [];
  /** Never given twice, unlike places: what was learnt of a host is not taken for another's. */
  #serials = new Int32Array(FIRST_CAPACITY);
  #asParent = new Float64Array(FIRST_CAPACITY * STRIDE);
  /** Deviation, variance and time of the last news, three a host. */
  #asChild = new Float64Array(FIRST_CAPACITY * 3);
  #lastSerial = 0;
  #hand = 0;

  constructor(
    readonly maxEntries: number,
    private readonly halfLifeMs: number,
    private readonly prior: { readonly parentVariance: number; readonly childVariance: number; readonly tries: number },
  ) {}

  get size(): number {
    return this.#slots.size;
  }

  /** The place of a host; -1 when it is not known. */
  find(id: string): number {
    return this.#slots.get(id) ?? -1;
  }

  /** The place of a host, which gets one if it has none. */
  place(id: string, nowMs: number): number {
    const known = this.#slots.get(id);
    if (known !== undefined) return known;
    const slot = this.#ids.length < this.maxEntries ? this.#ids.length : this.#evict();
    if (slot >= this.#serials.length) this.#grow();
    this.#slots.set(id, slot);
    this.#ids[slot] = id;
    this.#lastSerial = (this.#lastSerial % MAX_SERIAL) + 1;
    this.#serials[slot] = this.#lastSerial;
    this.#asParent.set([0, this.prior.parentVariance, nowMs, 0, 0, nowMs], slot * STRIDE);
    this.#asChild.set([0, this.prior.childVariance, nowMs], slot * 3);
    return slot;
  }

  /** 1 and up; of a known host. */
  serial(slot: number): number {
    return this.#serials[slot] ?? 0;
  }

  hasFailed(slot: number): boolean {
    return (this.#asParent[slot * STRIDE + FAILURES] ?? 0) > 0;
  }

  /** As a parent: how far its effect is believed to be from its prior. */
  parentDeviation(slot: number, nowMs: number): number {
    const at = slot * STRIDE;
    return (this.#asParent[at + DEVIATION] ?? 0) * this.#memory(this.#asParent[at + NEWS_AT_MS] ?? 0, nowMs);
  }

  parentVariance(slot: number, nowMs: number): number {
    const at = slot * STRIDE;
    const memory = this.#memory(this.#asParent[at + NEWS_AT_MS] ?? 0, nowMs) ** 2;
    return memory * (this.#asParent[at + VARIANCE] ?? 0) + (1 - memory) * this.prior.parentVariance;
  }

  setParent(slot: number, { deviation, variance }: Belief, nowMs: number): void {
    const at = slot * STRIDE;
    this.#asParent[at + DEVIATION] = deviation;
    this.#asParent[at + VARIANCE] = variance;
    this.#asParent[at + NEWS_AT_MS] = Math.max(this.#asParent[at + NEWS_AT_MS] ?? 0, nowMs);
  }

  /** The share of failures at this parent, 0 … 1. */
  failureShare(slot: number, prior: number, nowMs: number): number {
    const at = slot * STRIDE;
    const memory = this.#memory(this.#asParent[at + TRIED_AT_MS] ?? 0, nowMs);
    const tries = (this.#asParent[at + TRIES] ?? 0) * memory;
    const failures = (this.#asParent[at + FAILURES] ?? 0) * memory;
    return (failures + this.prior.tries * prior) / (tries + this.prior.tries);
  }

  addTry(slot: number, isFailure: boolean, nowMs: number): void {
    const at = slot * STRIDE;
    const memory = this.#memory(this.#asParent[at + TRIED_AT_MS] ?? 0, nowMs);
    this.#asParent[at + TRIES] = (this.#asParent[at + TRIES] ?? 0) * memory + 1;
    this.#asParent[at + FAILURES] = (this.#asParent[at + FAILURES] ?? 0) * memory + (isFailure ? 1 : 0);
    this.#asParent[at + TRIED_AT_MS] = Math.max(this.#asParent[at + TRIED_AT_MS] ?? 0, nowMs);
  }

  childDeviation(slot: number, nowMs: number): number {
    return (this.#asChild[slot * 3] ?? 0) * this.#memory(this.#asChild[slot * 3 + 2] ?? 0, nowMs);
  }

  childVariance(slot: number, nowMs: number): number {
    const memory = this.#memory(this.#asChild[slot * 3 + 2] ?? 0, nowMs) ** 2;
    return memory * (this.#asChild[slot * 3 + 1] ?? 0) + (1 - memory) * this.prior.childVariance;
  }

  setChild(slot: number, { deviation, variance }: Belief, nowMs: number): void {
    this.#asChild[slot * 3] = deviation;
    this.#asChild[slot * 3 + 1] = variance;
    this.#asChild[slot * 3 + 2] = Math.max(this.#asChild[slot * 3 + 2] ?? 0, nowMs);
  }

  /** What is left of what was known then; a clock that runs backwards counts as one that stands still. */
  #memory(thenMs: number, nowMs: number): number {
    return nowMs <= thenMs ? 1 : 2 ** ((thenMs - nowMs) / this.halfLifeMs);
  }

  #lastNewsMs(slot: number): number {
    const at = slot * STRIDE;
    return Math.max(
      this.#asParent[at + NEWS_AT_MS] ?? 0,
      this.#asParent[at + TRIED_AT_MS] ?? 0,
      this.#asChild[slot * 3 + 2] ?? 0,
    );
  }

  #evict(): number {
    let found = this.#hand;
    for (let step = 1; step < EVICTION_SAMPLE; step++) {
      const slot = (this.#hand + step) % this.maxEntries;
      if (this.#lastNewsMs(slot) < this.#lastNewsMs(found)) found = slot;
    }
    this.#hand = (this.#hand + EVICTION_SAMPLE) % this.maxEntries;
    this.#slots.delete(this.#ids[found] ?? '');
    return found;
  }

  #grow(): void {
    const capacity = Math.max(1, Math.min(this.maxEntries, this.#serials.length * 2));
    this.#serials = enlarged(this.#serials, new Int32Array(capacity));
    this.#asParent = enlarged(this.#asParent, new Float64Array(capacity * STRIDE));
    this.#asChild = enlarged(this.#asChild, new Float64Array(capacity * 3));
  }
}

/** Two serial numbers make one number that is exact: 2^26 squared is 2^52. */
export const SERIAL_BASE = 2 ** 26;
const MAX_SERIAL = SERIAL_BASE - 1;

function enlarged<Numbers extends Int32Array | Float64Array>(source: Numbers, target: Numbers): Numbers {
  target.set(source);
  return target;
}
