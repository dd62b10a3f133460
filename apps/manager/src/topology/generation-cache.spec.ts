import { jest } from '@jest/globals';
import { createMemoryKv, type Kv } from '@dragonfly/kv';
import { GenerationCache } from './generation-cache.js';

describe('generation cache', () => {
  let kv: Kv;
  let nowMs: number;
  let loads: number;
  let errors: unknown[];
  const cache = (load = async (): Promise<number> => ++loads): GenerationCache<number> =>
    new GenerationCache({
      store: kv.store,
      key: 'generation',
      load,
      maxAgeMs: 1_000,
      onError: (error) => errors.push(error),
      now: () => nowMs,
    });

  beforeEach(() => {
    kv = createMemoryKv();
    nowMs = 0;
    loads = 0;
    errors = [];
  });

  it('loads once for many callers', async () => {
    const one = cache();
    expect(await Promise.all([one.get(), one.get(), one.get()])).toEqual([1, 1, 1]);
    expect(await one.get()).toBe(1);
  });

  it('shows a change that another manager made at once', async () => {
    const [one, other] = [cache(), cache()];
    await one.get();
    await other.get();
    await other.invalidate();
    expect(await one.get()).toBe(3);
  });

  it('loads again after its greatest age', async () => {
    const one = cache();
    await one.get();
    nowMs = 999;
    expect(await one.get()).toBe(1);
    nowMs = 1_000;
    expect(await one.get()).toBe(2);
  });

  it('loads again after a failed load', async () => {
    let fails = true;
    const one = cache(async () => (fails ? Promise.reject(new Error('no database')) : 7));
    await expect(one.get()).rejects.toThrow('no database');
    fails = false;
    expect(await one.get()).toBe(7);
  });

  it('goes past the cache while the store does not answer, and never fails for it', async () => {
    const one = cache();
    await one.get();
    await kv.close();
    expect(await one.get()).toBe(2);
    expect(await one.get()).toBe(3);
    await one.invalidate();
    expect(errors).toHaveLength(2);
  });

  it('asks a store that did not answer again after a pause, and caches again then', async () => {
    const broken = createMemoryKv();
    await broken.close();
    const asked = jest.spyOn(kv.store, 'get').mockImplementationOnce((key) => broken.store.get(key));
    const one = cache();
    expect([await one.get(), await one.get()]).toEqual([1, 2]);
    nowMs = 4_999;
    expect(await one.get()).toBe(3);
    expect(asked).toHaveBeenCalledTimes(1);
    nowMs = 5_000;
    expect([await one.get(), await one.get()]).toEqual([4, 4]);
    expect(asked).toHaveBeenCalledTimes(3);
  });
});
