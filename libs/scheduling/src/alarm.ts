import type { Clock, Timer } from './clock.js';

/** One timer that is moved to earlier times as they become known. */
export class Alarm {
  #timer: Timer | undefined;
  #atMs = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly onTime: () => void,
  ) {}

  /** Makes it go off at this time, or earlier if it is set to an earlier one. */
  notLaterThan(atMs: number): void {
    if (this.#atMs <= atMs) return;
    this.off();
    this.#atMs = atMs;
    this.#timer = this.clock.after(Math.max(0, atMs - this.clock.nowMs()), () => {
      this.off();
      this.onTime();
    });
  }

  off(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#atMs = Infinity;
  }
}
