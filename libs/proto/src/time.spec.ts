import fc from 'fast-check';
import { durationToMs, msToDuration } from './time.js';

describe('durations', () => {
  it.each([
    [0, 0n, 0],
    [1, 0n, 1_000_000],
    [1500, 1n, 500_000_000],
    [-1500, -1n, -500_000_000],
    [0.0005, 0n, 500],
    [999.9999999, 1n, 0],
    [86_400_000, 86_400n, 0],
  ])('%d ms are %d s and %d ns', (ms, seconds, nanos) => {
    expect(msToDuration(ms)).toEqual({ seconds, nanos });
  });

  it('come back as they were, to the nanosecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        expect(durationToMs(msToDuration(ms))).toBe(ms);
      }),
    );
  });

  it.each([NaN, Infinity, -Infinity])('cannot be %d', (ms) => {
    expect(() => msToDuration(ms)).toThrow(RangeError);
  });
});
