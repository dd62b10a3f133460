/** A look that comes later than this after the one before says that this process stood still, not that others did. */
const EXPECTED_LOOK_INTERVAL_MS = 1000;

/**
 * Tells whether somebody who should speak up now and then has been silent for too long. Time in which this process itself
 * got no turn does not count: whatever came meanwhile is still unread.
 */
export class SilenceWatch {
  private silentAtMs: number;
  private lookedAtMs: number;

  /**
   * @param patienceMs until the first sign of life
   * @param nowMs monotonic. @default performance.now
   */
  constructor(
    patienceMs: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.lookedAtMs = nowMs();
    this.silentAtMs = this.lookedAtMs + patienceMs;
  }

  /** A sign of life; the next one is due within `patienceMs`. */
  heard(patienceMs: number): void {
    this.silentAtMs = Math.max(this.silentAtMs, this.nowMs() + patienceMs);
  }

  /** To be asked at least every second. */
  isSilent(): boolean {
    const now = this.nowMs();
    const standstillMs = now - this.lookedAtMs - EXPECTED_LOOK_INTERVAL_MS;
    this.lookedAtMs = now;
    if (standstillMs > 0) this.silentAtMs += standstillMs;
    return now > this.silentAtMs;
  }
}
