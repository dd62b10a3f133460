import { jest } from '@jest/globals';
import { BufferPool } from './buffer-pool.js';

describe('BufferPool', () => {
  it('makes buffers when they are needed, and never more than its bound', () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 2 });
    expect(pool.allocated).toBe(0);
    const first = pool.tryAcquire();
    const second = pool.tryAcquire();
    expect([first?.length, second?.length]).toEqual([16, 16]);
    expect(pool.tryAcquire()).toBeUndefined();
    expect([pool.allocated, pool.inUse]).toEqual([2, 2]);
  });

  it('lends no buffer above what is comfortable but to who must have one', async () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 3, comfortableBuffers: 1 });
    const first = await pool.acquire();
    expect(pool.tryAcquire()).toBeUndefined();
    await pool.acquire();
    await pool.acquire();
    expect([pool.allocated, pool.waiting]).toEqual([3, 0]);
    pool.release(first);
    // Free, but two are still lent.
    expect(pool.tryAcquire()).toBeUndefined();
    await expect(pool.acquire()).resolves.toBe(first);
  });

  it('uses a released buffer again', () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 2 });
    const buffer = pool.tryAcquire();
    if (buffer === undefined) throw new Error('the pool gave no buffer');
    pool.release(buffer);
    expect(pool.tryAcquire()).toBe(buffer);
    expect(pool.allocated).toBe(1);
  });

  it('hands a released buffer to the one who has waited longest, before anyone who comes now', async () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 1 });
    const held = await pool.acquire();
    const order: string[] = [];
    const first = pool.acquire().then((buffer) => {
      order.push('first');
      return buffer;
    });
    const second = pool.acquire().then((buffer) => {
      order.push('second');
      return buffer;
    });
    expect(pool.waiting).toBe(2);
    pool.release(held);
    expect(pool.tryAcquire()).toBeUndefined();
    pool.release(await first);
    pool.release(await second);
    expect(order).toEqual(['first', 'second']);
    expect([pool.allocated, pool.inUse, pool.waiting]).toEqual([1, 0, 0]);
  });

  it('lets a waiting caller go when its signal fires', async () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 1 });
    const held = await pool.acquire();
    const abort = new AbortController();
    const waiting = pool.acquire(abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await expect(pool.acquire(abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    pool.release(held);
    expect(pool.inUse).toBe(0);
  });

  it('refuses more waiting callers than its bound', async () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 1, maxWaiters: 1 });
    await pool.acquire();
    void pool.acquire();
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  it('refuses a buffer that was released already or is not its own', async () => {
    const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 2 });
    const buffer = await pool.acquire();
    pool.release(buffer);
    expect(() => pool.release(buffer)).toThrow(RangeError);
    expect(() => pool.release(Buffer.alloc(16))).toThrow(RangeError);
  });

  it('gives memory back when it lies idle', async () => {
    jest.useFakeTimers();
    try {
      const pool = new BufferPool({ bufferBytes: 16, maxBuffers: 8, idleTimeoutMs: 1000 });
      const buffers = await Promise.all(Array.from({ length: 8 }, () => pool.acquire()));
      for (const buffer of buffers) pool.release(buffer);
      jest.advanceTimersByTime(999);
      expect(pool.allocated).toBe(8);
      jest.advanceTimersByTime(1);
      expect(pool.allocated).toBe(4);
      jest.advanceTimersByTime(3000);
      expect(pool.allocated).toBe(0);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %d as a bound', (bound) => {
    expect(() => new BufferPool({ bufferBytes: bound, maxBuffers: 1 })).toThrow(RangeError);
    expect(() => new BufferPool({ bufferBytes: 1, maxBuffers: bound })).toThrow(RangeError);
  });
});
