/** A token bucket whose burst equals its rate. */
export class TokenBucket {
  private tokens: number;
  private filledAtMs: number;

  /**
   * @param ratePerSecond tokens a second, and the most that can be saved up
   * @param now a clock in milliseconds that never goes back
   */
  constructor(
    private readonly ratePerSecond: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.tokens = ratePerSecond;
    this.filledAtMs = now();
  }

  /** Takes a token if there is one. */
  tryTake(): boolean {
    const nowMs = this.now();
    this.tokens = Math.min(this.ratePerSecond, this.tokens + ((nowMs - this.filledAtMs) / 1000) * this.ratePerSecond);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}
