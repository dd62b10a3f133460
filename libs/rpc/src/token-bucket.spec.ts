import { TokenBucket } from './token-bucket.js';

describe('TokenBucket', () => {
  it('allows a burst of its rate, then one token per interval', () => {
    let nowMs = 1000;
    const bucket = new TokenBucket(4, () => nowMs);
    const takeAll = (): number => {
      let taken = 0;
      while (bucket.tryTake()) taken++;
      return taken;
    };
    expect(takeAll()).toBe(4);
    nowMs += 249;
    expect(takeAll()).toBe(0);
    nowMs += 1;
    expect(takeAll()).toBe(1);
    nowMs += 60_000;
    expect(takeAll()).toBe(4);
  });
});
