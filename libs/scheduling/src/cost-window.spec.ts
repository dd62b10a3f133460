import fc from 'fast-check';
import { COST_WINDOW_LENGTH, CostWindow } from './cost-window.js';

/** The rule computed from scratch over the last 2000 costs. */
function isOutlier(all: readonly number[]): boolean {
  const costs = all.slice(-COST_WINDOW_LENGTH);
  const last = costs.at(-1);
  if (last === undefined || costs.length < 2) return false;
  const others = costs.slice(0, -1);
  const mean = others.reduce((sum, cost) => sum + cost, 0) / others.length;
  if (costs.length < COST_WINDOW_LENGTH) return last > mean * 20;
  const variance = others.reduce((sum, cost) => sum + (cost - mean) ** 2, 0) / others.length;
  return last > mean + 3 * Math.sqrt(variance);
}

function windowOf(costs: readonly number[]): CostWindow {
  const window = new CostWindow();
  for (const cost of costs) window.add(cost);
  return window;
}

describe('CostWindow', () => {
  it('says nothing before the second cost', () => {
    expect(windowOf([]).isLastAnOutlier()).toBe(false);
    expect(windowOf([1_000_000]).isLastAnOutlier()).toBe(false);
  });

  it.each([
    ['20 times the mean of the others is still good', [10, 10, 10, 200], false],
    ['more than 20 times is bad', [10, 10, 10, 201], true],
    ['a good one after a bad one clears it', [10, 10, 201, 10], false],
    ['all zero is good', [0, 0, 0], false],
    ['anything after zeros is bad', [0, 0, 1], true],
  ])('with few costs: %s', (_name, costs, expected) => {
    expect(windowOf(costs).isLastAnOutlier()).toBe(expected);
  });

  it('with a full window: three standard deviations above the mean of the others', () => {
    const alternating = Array.from({ length: COST_WINDOW_LENGTH - 1 }, (_, index) => (index % 2 === 0 ? 8 : 12));
    expect(windowOf([...alternating, 15.9]).isLastAnOutlier()).toBe(false);
    expect(windowOf([...alternating, 16.1]).isLastAnOutlier()).toBe(true);
  });

  it('agrees with the rule computed from scratch, also long after the window is full', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 5000 }),
        (pattern, length) => {
          const costs = Array.from({ length }, (_, index) => pattern[index % pattern.length] ?? 0).concat(pattern);
          expect(windowOf(costs).isLastAnOutlier()).toBe(isOutlier(costs));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('forgets costs that left the window', () => {
    const window = windowOf([3_000_000, ...Array.from({ length: 4 * COST_WINDOW_LENGTH }, () => 1)]);
    window.add(1.5);
    expect(window.length).toBe(COST_WINDOW_LENGTH);
    expect(window.lastMs).toBe(1.5);
    expect(window.isLastAnOutlier()).toBe(true);
  });

  it('counts nonsense as zero', () => {
    const window = windowOf([Number.NaN, -5, Number.POSITIVE_INFINITY]);
    expect(window.length).toBe(3);
    expect(window.lastMs).toBe(0);
  });
});

it('keeps its verdict, and nothing else, once no further cost is expected', () => {
  const slow = new CostWindow();
  for (const cost of [1, 1, 1, 100]) slow.add(cost);
  slow.settle();
  expect(slow.isLastAnOutlier()).toBe(true);
  expect(slow.length).toBe(0);
});
