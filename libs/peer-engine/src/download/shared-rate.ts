import { RateLimiter } from '@dragonfly/vortex';

/**
 * The limit of a download that several requests share. It runs as fast as the fastest of them may: one that asked for less
 * would otherwise slow all the others, which never asked for that.
 */
export class SharedRate {
  /** Given to whatever moves the bytes. */
  readonly limiter = new RateLimiter(Infinity);
  private readonly rates = new Map<object, number>();

  /** @param bytesPerSecond undefined: as fast as it goes */
  add(user: object, bytesPerSecond: number | undefined): void {
    this.rates.set(user, bytesPerSecond ?? Infinity);
    this.apply();
  }

  remove(user: object): void {
    this.rates.delete(user);
    this.apply();
  }

  private apply(): void {
    if (this.rates.size === 0) return;
    const fastest = Math.max(...this.rates.values());
    if (fastest !== this.limiter.rateBytesPerSecond) this.limiter.setRate(fastest);
  }
}
