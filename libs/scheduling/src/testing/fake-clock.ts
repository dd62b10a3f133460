import type { Clock, Timer } from '../clock.js';

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is advanced. Timers fire in order of time, then of creation. */
export class FakeClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  /** @param nowMs where it starts; not 0, so that a forgotten time shows */
  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { atMs: this.#nowMs + delayMs, order: this.#order++, callback };
    this.#pending.add(pending);
    return {
      cancel: () => {
        this.#pending.delete(pending);
      },
    };
  }

  /** Timers that have not fired. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Moves on, firing what becomes due, timers that these set included. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.atMs > untilMs) continue;
      if (
        first === undefined ||
        pending.atMs < first.atMs ||
        (pending.atMs === first.atMs && pending.order < first.order)
      ) {
        first = pending;
      }
    }
    return first;
  }
}
