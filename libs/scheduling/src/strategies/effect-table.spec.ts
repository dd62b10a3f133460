import { EffectTable } from './effect-table.js';
import { FailureTable } from './failure-table.js';

const HOUR_MS = 3_600_000;

describe('EffectTable', () => {
  it('knows nothing of an unknown key', () => {
    const table = new EffectTable<string>(10, HOUR_MS, 2);
    expect(table.deviation('a', 0)).toBe(0);
    expect(table.variance('a', 0)).toBe(2);
  });

  it('returns to the prior without news', () => {
    const table = new EffectTable<string>(10, HOUR_MS, 2);
    table.set('a', { deviation: 4, variance: 0.5 }, 0);
    expect(table.deviation('a', 0)).toBe(4);
    expect(table.variance('a', 0)).toBe(0.5);
    expect(table.deviation('a', HOUR_MS)).toBeCloseTo(2, 12);
    expect(table.variance('a', HOUR_MS)).toBeCloseTo(0.25 * 0.5 + 0.75 * 2, 12);
    expect(table.deviation('a', 30 * HOUR_MS)).toBeLessThan(0.001);
    expect(table.variance('a', 30 * HOUR_MS)).toBeCloseTo(2, 6);
  });

  it('does not grow beyond its bound and gives up what was longest without news', () => {
    const table = new EffectTable<number>(1000, HOUR_MS, 1);
    for (let key = 0; key < 20_000; key++) {
      table.set(key, { deviation: key, variance: 0.5 }, key);
      // Told of again and again.
      table.set(7, { deviation: 7, variance: 0.5 }, key);
    }
    expect(table.size).toBe(1000);
    expect(table.deviation(7, 20_000)).toBeCloseTo(7, 2);
    expect(table.deviation(100, 20_000)).toBe(0);
    expect(table.deviation(19_999, 19_999)).toBe(19_999);
  });

  it('takes a clock that runs backwards for one that stands still', () => {
    const table = new EffectTable<string>(10, HOUR_MS, 1);
    table.set('a', { deviation: 1, variance: 0.5 }, 5 * HOUR_MS);
    table.set('a', { deviation: 3, variance: 0.5 }, 0);
    expect(table.deviation('a', 0)).toBe(3);
  });
});

describe('FailureTable', () => {
  it('draws the share to the prior, the less the more tries there were', () => {
    const table = new FailureTable<string>(10, HOUR_MS, 5);
    expect(table.share('a', 0.1, 0)).toBe(0.1);
    table.add('a', true, 0);
    expect(table.share('a', 0.1, 0)).toBeCloseTo((1 + 0.5) / 6, 12);
    for (let tries = 0; tries < 9; tries++) table.add('a', false, 0);
    expect(table.share('a', 0.1, 0)).toBeCloseTo((1 + 0.5) / 15, 12);
  });

  it('halves the weight of what it knows every half-life', () => {
    const table = new FailureTable<string>(10, HOUR_MS, 5);
    for (let tries = 0; tries < 10; tries++) table.add('a', true, 0);
    expect(table.share('a', 0, HOUR_MS)).toBeCloseTo(5 / 10, 12);
  });
});
