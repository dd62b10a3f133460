import { setTimeout as delay } from 'node:timers/promises';

/** Time between looks. */
const LOOK_INTERVAL_MS = 200;

/**
 * A scheduler that has just been started knows no hosts: they announce themselves in the time that follows. A job that
 * comes then does not fail for it, it waits.
 */
export class Learning {
  readonly #startedAtMs = performance.now();

  /** @param learningTimeMs how long after the start hosts may still be unknown; 0 = never wait */
  constructor(private readonly learningTimeMs: number) {}

  /** Waits until the probe holds, the learning time is over, or the signal is aborted. */
  async until(probe: () => boolean, signal: AbortSignal): Promise<void> {
    while (!probe() && !signal.aborted && performance.now() - this.#startedAtMs < this.learningTimeMs) {
      await delay(LOOK_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
