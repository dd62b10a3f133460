import { setTimeout as sleep } from 'node:timers/promises';

/** Shortest pause worth a timer; below it the debt is carried on. */
const MIN_PAUSE_MS = 5;
/** A stream that was slow for a while may not make up for more than this. */
const MAX_CREDIT_MS = 100;

/** Keeps one stream of bytes at a rate: bytes are counted after they came, and the next ones wait. */
export class RateBrake {
  /** When the bytes so far would have ended at exactly the rate. */
  #dueAtMs: number;

  constructor(
    private readonly bytesPerSecond: number | undefined,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.#dueAtMs = nowMs();
  }

  /** How long to wait now, after `lengthBytes` more came. */
  delayAfter(lengthBytes: number): number {
    if (this.bytesPerSecond === undefined) return 0;
    const now = this.nowMs();
    this.#dueAtMs = Math.max(this.#dueAtMs, now - MAX_CREDIT_MS) + (lengthBytes * 1000) / this.bytesPerSecond;
    return Math.max(0, this.#dueAtMs - now);
  }

  /** Waits as long as needed after `lengthBytes` more came. */
  async pass(lengthBytes: number, signal: AbortSignal): Promise<void> {
    const delayMs = this.delayAfter(lengthBytes);
    if (delayMs >= MIN_PAUSE_MS) await sleep(delayMs, undefined, { signal });
  }
}
