import { AgedSlots } from './aged-slots.js';

/**
 * Shares of failures by key: discounted counts of tries and failures, drawn to a prior that is worth a number of tries
 * (the mean of a beta distribution). Both counts halve every half-life.
 */
export class FailureTable<Key> {
  readonly #entries: AgedSlots<Key>;

  /** @param priorTries tries that the prior is worth */
  constructor(
    maxEntries: number,
    private readonly halfLifeMs: number,
    private readonly priorTries: number,
  ) {
    this.#entries = new AgedSlots(maxEntries);
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: Key): boolean {
    return this.#entries.find(key) >= 0;
  }

  /** 0 … 1; the prior for an unknown key. */
  share(key: Key, prior: number, nowMs: number): number {
    const slot = this.#entries.find(key);
    if (slot < 0) return prior;
    const memory = this.#memory(slot, nowMs);
    const tries = (this.#entries.first[slot] ?? 0) * memory;
    const failures = (this.#entries.second[slot] ?? 0) * memory;
    return (failures + this.priorTries * prior) / (tries + this.priorTries);
  }

  add(key: Key, isFailure: boolean, nowMs: number): void {
    const entries = this.#entries;
    const found = entries.find(key);
    const slot = found < 0 ? entries.allocate(key, 0, 0, nowMs) : found;
    const memory = this.#memory(slot, nowMs);
    entries.first[slot] = (entries.first[slot] ?? 0) * memory + 1;
    entries.second[slot] = (entries.second[slot] ?? 0) * memory + (isFailure ? 1 : 0);
    entries.touch(slot, nowMs);
  }

  #memory(slot: number, nowMs: number): number {
    const ageMs = this.#entries.ageMs(slot, nowMs);
    return ageMs === 0 ? 1 : 2 ** (-ageMs / this.halfLifeMs);
  }
}
