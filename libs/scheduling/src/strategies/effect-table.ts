import { AgedSlots } from './aged-slots.js';
import type { Belief } from './known-hosts.js';

/**
 * Unknown quantities by key, each a normal distribution: mean (relative to a prior that the caller knows) and variance.
 * Without news an entry returns to its prior: after time t the deviation has shrunk by ρ = 2^(-t / half-life) and the
 * variance is ρ² · variance + (1 - ρ²) · prior variance (a stationary Ornstein-Uhlenbeck process).
 */
export class EffectTable<Key> {
  readonly #entries: AgedSlots<Key>;

  /** @param priorVariance how far an unknown effect is expected to be from its prior, squared */
  constructor(
    maxEntries: number,
    private readonly halfLifeMs: number,
    private readonly priorVariance: number,
  ) {
    this.#entries = new AgedSlots(maxEntries);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How far the effect is believed to be from its prior; 0 for an unknown key. */
  deviation(key: Key, nowMs: number): number {
    const slot = this.#entries.find(key);
    return slot < 0 ? 0 : (this.#entries.first[slot] ?? 0) * this.#memory(slot, nowMs);
  }

  variance(key: Key, nowMs: number): number {
    const slot = this.#entries.find(key);
    if (slot < 0) return this.priorVariance;
    const memory = this.#memory(slot, nowMs) ** 2;
    return memory * (this.#entries.second[slot] ?? 0) + (1 - memory) * this.priorVariance;
  }

  set(key: Key, { deviation, variance }: Belief, nowMs: number): void {
    const entries = this.#entries;
    const slot = entries.find(key);
    if (slot < 0) {
      entries.allocate(key, deviation, variance, nowMs);
      return;
    }
    entries.first[slot] = deviation;
    entries.second[slot] = variance;
    entries.touch(slot, nowMs);
  }

  #memory(slot: number, nowMs: number): number {
    const ageMs = this.#entries.ageMs(slot, nowMs);
    return ageMs === 0 ? 1 : 2 ** (-ageMs / this.halfLifeMs);
  }
}
