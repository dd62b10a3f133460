import { KnownPairs } from './known-pairs.js';

const HOUR_MS = 3_600_000;

describe('KnownPairs', () => {
  it('knows nothing of a pair that was never told of', () => {
    const pairs = new KnownPairs(10, HOUR_MS, 2);
    pairs.set(1, 2, { deviation: 4, variance: 0.5 }, 0);
    expect(pairs.ofChild(1)).toBeUndefined();
    expect(pairs.deviation(pairs.ofChild(2)?.get(3), 0)).toBe(0);
    expect(pairs.variance(pairs.ofChild(2)?.get(3), 0)).toBe(2);
  });

  it('returns to the prior without news', () => {
    const pairs = new KnownPairs(10, HOUR_MS, 2);
    pairs.set(1, 2, { deviation: 4, variance: 0.5 }, 0);
    const pair = pairs.ofChild(2)?.get(1);
    expect(pairs.deviation(pair, 0)).toBe(4);
    expect(pairs.deviation(pair, HOUR_MS)).toBeCloseTo(2, 12);
    expect(pairs.variance(pair, HOUR_MS)).toBeCloseTo(0.25 * 0.5 + 0.75 * 2, 12);
  });

  it('does not grow beyond its bound, gives up what was longest without news, and forgets children without pairs', () => {
    const pairs = new KnownPairs(1000, HOUR_MS, 1);
    for (let parent = 2; parent < 20_000; parent++) {
      pairs.set(parent, parent + 1, { deviation: parent, variance: 0.5 }, parent);
      // Told of again and again.
      pairs.set(1, 7, { deviation: 7, variance: 0.5 }, parent);
    }
    expect(pairs.size).toBe(1000);
    expect(pairs.deviation(pairs.ofChild(7)?.get(1), 20_000)).toBeCloseTo(7, 2);
    expect(pairs.ofChild(101)).toBeUndefined();
    expect(pairs.deviation(pairs.ofChild(20_000)?.get(19_999), 19_999)).toBe(19_999);
  });
});
