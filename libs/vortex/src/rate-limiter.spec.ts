import { jest } from '@jest/globals';
import { RateLimiter } from './rate-limiter.js';

describe('RateLimiter', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** Takes and notes when it was let through, in ms since the start of the test. */
  const taker = (limiter: RateLimiter) => {
    const startedAt = performance.now();
    const passed: [name: string, atMs: number][] = [];
    const take = (name: string, bytes: number, signal?: AbortSignal) =>
      limiter.take(bytes, signal).then(() => {
        passed.push([name, performance.now() - startedAt]);
      });
    return { passed, take };
  };

  it('lets a burst through at once and the rest at the rate', async () => {
    const limiter = new RateLimiter(1000, { burstBytes: 500 });
    const { passed, take } = taker(limiter);
    void take('first', 500);
    void take('second', 1000);
    void take('third', 2000);
    await jest.advanceTimersByTimeAsync(5000);
    expect(passed).toEqual([
      ['first', 0],
      ['second', 1000],
      ['third', 3000],
    ]);
  });

  it('serves one who wants more than the bucket holds, after the time that its bytes take', async () => {
    const limiter = new RateLimiter(1000, { burstBytes: 100 });
    const { passed, take } = taker(limiter);
    void take('large', 10_000);
    await jest.advanceTimersByTimeAsync(9_899);
    expect(passed).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(passed).toEqual([['large', 9_900]]);
  });

  it('keeps the order: a small one does not overtake a large one', async () => {
    const limiter = new RateLimiter(1000, { burstBytes: 100 });
    const { passed, take } = taker(limiter);
    void take('large', 1000);
    void take('small', 1);
    await jest.advanceTimersByTimeAsync(2000);
    expect(passed.map(([name]) => name)).toEqual(['large', 'small']);
  });

  it('saves no more than a burst while nobody takes', async () => {
    const limiter = new RateLimiter(1000, { burstBytes: 100 });
    await jest.advanceTimersByTimeAsync(60_000);
    const { passed, take } = taker(limiter);
    void take('burst', 100);
    void take('next', 100);
    await jest.advanceTimersByTimeAsync(100);
    expect(passed).toEqual([
      ['burst', 0],
      ['next', 100],
    ]);
  });

  it('is off at an infinite rate', async () => {
    const limiter = new RateLimiter(Infinity);
    const { passed, take } = taker(limiter);
    await take('huge', Number.MAX_SAFE_INTEGER);
    expect(passed).toEqual([['huge', 0]]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('applies a new rate to those who wait already', async () => {
    const limiter = new RateLimiter(10, { burstBytes: 1 });
    const { passed, take } = taker(limiter);
    void take('waiting', 1001);
    await jest.advanceTimersByTimeAsync(1000);
    limiter.setRate(1000);
    expect(limiter.rateBytesPerSecond).toBe(1000);
    await jest.advanceTimersByTimeAsync(990);
    expect(passed).toEqual([['waiting', 1990]]);
  });

  it('lets everyone through when the limit is switched off, and limits again afterwards', async () => {
    const limiter = new RateLimiter(1);
    const { passed, take } = taker(limiter);
    void take('one', 1000);
    void take('two', 1000);
    limiter.setRate(Infinity);
    await jest.advanceTimersByTimeAsync(0);
    expect(passed).toHaveLength(2);
    limiter.setRate(1000);
    // What the bucket held at the old rate was next to nothing.
    void take('three', 1100);
    await jest.advanceTimersByTimeAsync(1099);
    expect(passed).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(1);
    expect(passed.at(-1)).toEqual(['three', 1100]);
  });

  it('forgets one whose signal fires, and serves the next at its own time', async () => {
    const limiter = new RateLimiter(1000, { burstBytes: 1 });
    const { passed, take } = taker(limiter);
    const abort = new AbortController();
    const first = take('aborted', 1_000_000, abort.signal);
    void take('next', 101);
    abort.abort(new Error('no longer wanted'));
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await jest.advanceTimersByTimeAsync(100);
    expect(passed).toEqual([['next', 100]]);
    expect(limiter.waiting).toBe(0);
    await expect(limiter.take(10_000, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('refuses more waiting callers than its bound', async () => {
    const limiter = new RateLimiter(1, { burstBytes: 1, maxWaiters: 2 });
    const { take } = taker(limiter);
    void take('one', 10);
    void take('two', 10);
    await expect(limiter.take(10)).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  it('sleeps longer than a timer can in parts', async () => {
    const limiter = new RateLimiter(1, { burstBytes: 1 });
    const { passed, take } = taker(limiter);
    void take('patient', 3_000_001);
    await jest.advanceTimersByTimeAsync(2_999_999_999);
    expect(passed).toEqual([]);
    // A millisecond more for what floating point loses in the parts.
    await jest.advanceTimersByTimeAsync(2);
    expect(passed.map(([name]) => name)).toEqual(['patient']);
  });

  it.each([0, -1, Number.NaN])('refuses a rate of %d', (rate) => {
    expect(() => new RateLimiter(rate)).toThrow(RangeError);
    expect(() => new RateLimiter(1).setRate(rate)).toThrow(RangeError);
  });
});
