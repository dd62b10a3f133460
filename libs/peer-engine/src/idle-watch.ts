/**
 * Notices that nobody has used the daemon for a while. A daemon that dfget started leaves then.
 */
export class IdleWatch {
  private timer: NodeJS.Timeout | undefined;
  private busy = 0;

  /** @param aliveTimeMs 0: never idle */
  constructor(
    private readonly aliveTimeMs: number,
    private readonly onIdle: () => void,
  ) {
    this.arm();
  }

  /** Something begins. @returns to be called once when it ends */
  begin(): () => void {
    this.busy += 1;
    clearTimeout(this.timer);
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      this.busy -= 1;
      this.arm();
    };
  }

  stop(): void {
    this.busy = Infinity;
    clearTimeout(this.timer);
  }

  private arm(): void {
    if (this.aliveTimeMs === 0 || this.busy > 0) return;
    this.timer = setTimeout(this.onIdle, Math.min(this.aliveTimeMs, 2 ** 31 - 1)).unref();
  }
}
