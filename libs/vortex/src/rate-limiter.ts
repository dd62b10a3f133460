import { FifoWaiters } from './fifo-waiters.js';

/** Bounds of a {@link RateLimiter}. */
export interface RateLimiterOptions {
  /** Most bytes that may pass at once after a pause. @default a tenth of a second's worth */
  readonly burstBytes?: number;
  /** Most callers that may wait. @default 65536 */
  readonly maxWaiters?: number;
}

const DEFAULT_BURST_SECONDS = 0.1;
const DEFAULT_MAX_WAITERS = 65_536;

/** Longest delay that setTimeout takes; a longer wait is slept in parts. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A token bucket over bytes per second. Callers pass strictly in order; one who wants more than a bucket holds is
 * served too, after the time that its bytes take at the rate.
 */
export class RateLimiter {
  private readonly waiters: FifoWaiters<number, void>;
  private readonly fixedBurstBytes: number | undefined;
  private bytesPerSecond: number;
  private tokens: number;
  private filledAtMs: number;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param bytesPerSecond > 0; `Infinity` switches the limit off
   * @throws RangeError for another rate
   */
  constructor(bytesPerSecond: number, options: RateLimiterOptions = {}) {
    this.fixedBurstBytes = options.burstBytes;
    this.waiters = new FifoWaiters(options.maxWaiters ?? DEFAULT_MAX_WAITERS, 'the rate limit');
    this.bytesPerSecond = checkedRate(bytesPerSecond);
    this.tokens = this.burstBytes;
    this.filledAtMs = performance.now();
  }

  /** The rate in force. */
  get rateBytesPerSecond(): number {
    return this.bytesPerSecond;
  }

  /** Callers that wait. */
  get waiting(): number {
    return this.waiters.length;
  }

  /**
   * Waits until `bytes` may pass.
   *
   * @throws DfError `resource-exhausted` when too many wait, `cancelled` when the signal fires (nothing is taken then)
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.bytesPerSecond === Infinity) return Promise.resolve();
    this.fill();
    if (this.waiters.length === 0 && this.tokens >= bytes) {
      this.tokens -= bytes;
      return Promise.resolve();
    }
    const turn = this.waiters.wait(bytes, signal, () => this.serve());
    this.serve();
    return turn;
  }

  /**
   * Changes the rate, for those who wait already as well.
   *
   * @throws RangeError unless > 0
   */
  setRate(bytesPerSecond: number): void {
    this.fill();
    this.bytesPerSecond = checkedRate(bytesPerSecond);
    this.tokens = Math.min(this.tokens, this.capacityBytes);
    this.serve();
  }

  private get burstBytes(): number {
    return this.fixedBurstBytes ?? this.bytesPerSecond * DEFAULT_BURST_SECONDS;
  }

  /** Size of the bucket: it grows to what the first in line wants. */
  private get capacityBytes(): number {
    return Math.max(this.burstBytes, this.waiters.peek()?.want ?? 0);
  }

  /** Adds what the time since the last call brought. */
  private fill(): void {
    const now = performance.now();
    if (this.bytesPerSecond !== Infinity) {
      const earned = ((now - this.filledAtMs) / 1000) * this.bytesPerSecond;
      this.tokens = Math.min(this.capacityBytes, this.tokens + earned);
    }
    this.filledAtMs = now;
  }

  /** Lets through everyone whose bytes are there, and sets the timer for the next. */
  private serve(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (let next = this.waiters.peek(); next !== undefined; next = this.waiters.peek()) {
      this.fill();
      if (this.bytesPerSecond !== Infinity) {
        const missing = next.want - this.tokens;
        if (missing > 0) {
          const delayMs = Math.min(Math.ceil((missing / this.bytesPerSecond) * 1000), MAX_TIMER_MS);
          this.timer = setTimeout(() => this.serve(), delayMs);
          return;
        }
        this.tokens -= next.want;
      }
      this.waiters.grantNext();
    }
  }
}

function checkedRate(bytesPerSecond: number): number {
  if (!(bytesPerSecond > 0)) throw new RangeError(`rate must be more than 0 bytes per second, not ${bytesPerSecond}`);
  return bytesPerSecond;
}
