import { RateBrake } from './rate-brake.js';

describe('rate brake', () => {
  it('keeps a stream at its rate within a tenth', () => {
    let now = 0;
    const brake = new RateBrake(1000, () => now);
    let bytes = 0;
    while (now < 10_000) {
      bytes += 50;
      now += brake.delayAfter(50);
    }
    expect(bytes).toBeGreaterThanOrEqual(9_900);
    expect(bytes).toBeLessThanOrEqual(11_000);
  });

  it('lets a stream that was slow make up for a tenth of a second only', () => {
    let now = 0;
    const brake = new RateBrake(1000, () => now);
    now = 60_000;
    expect(brake.delayAfter(100)).toBe(0);
    expect(brake.delayAfter(100)).toBe(100);
  });

  it('does nothing without a rate', () => {
    expect(new RateBrake(undefined).delayAfter(1e12)).toBe(0);
  });
});
