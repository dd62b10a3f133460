import { drawByWeight, parentWeight } from './parent-weight.js';
import { ReadyPieces } from './ready-pieces.js';

describe('parentWeight', () => {
  it.each([
    ['what is left of the bandwidth', { maxTxBitsPerSecond: 100, txBitsPerSecond: 30 }, 0, 70],
    ['a tenth at least', { maxTxBitsPerSecond: 100, txBitsPerSecond: 99 }, 0, 10],
    ['ten gigabits when nothing is known', undefined, 0, 1e10],
    ['ten gigabits when the maximum is zero', { maxTxBitsPerSecond: 0, txBitsPerSecond: 5 }, 0, 1e10],
    ['a share for what we already ask of it', { maxTxBitsPerSecond: 100, txBitsPerSecond: 0 }, 3, 25],
  ])('is %s', (_, bandwidth, inFlight, expected) => {
    expect(parentWeight(bandwidth, inFlight)).toBe(expected);
  });
});

describe('drawByWeight', () => {
  const weights: Record<string, number> = { a: 1, b: 3 };
  const draw = (random: number): string | undefined =>
    drawByWeight(
      ['a', 'b'],
      (name) => weights[name] ?? 0,
      () => random,
    );

  it('follows the weights', () => {
    expect([0, 0.24, 0.26, 0.99].map(draw)).toEqual(['a', 'a', 'b', 'b']);
  });

  it('draws evenly when all weights are zero, and nothing from nothing', () => {
    expect(
      drawByWeight(
        ['a', 'b'],
        () => 0,
        () => 0.6,
      ),
    ).toBe('b');
    expect(drawByWeight([], () => 1)).toBeUndefined();
  });
});

describe('ReadyPieces', () => {
  it('prefers pieces that few parents have', () => {
    const ready = new ReadyPieces(false, () => 0);
    for (const number of [1, 2, 3]) ready.add(number);
    expect(ready.choose((number) => (number === 2 ? 1 : 5))).toBe(2);
  });

  it('follows the content for a stream', () => {
    const ready = new ReadyPieces(true);
    for (const number of [7, 3, 5]) ready.add(number);
    expect(ready.choose(() => 1)).toBe(3);
  });

  it('forgets what is taken out, and takes nothing twice', () => {
    const ready = new ReadyPieces(true);
    for (const number of [1, 2, 2, 3]) ready.add(number);
    ready.delete(1);
    ready.delete(9);
    expect(ready.size).toBe(2);
    ready.delete(3);
    ready.delete(2);
    expect(ready.choose(() => 1)).toBeUndefined();
  });
});
