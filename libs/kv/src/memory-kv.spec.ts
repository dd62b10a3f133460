import { kvConformanceCases } from './conformance/index.js';
import { createMemoryKv } from './memory-kv.js';

describe('memory key-value store', () => {
  for (const testCase of kvConformanceCases) {
    it(testCase.name, async () => {
      let nowMs = 1_000;
      // Locks renew on real timers, so real time counts too.
      const startedAtMs = performance.now();
      const kv = createMemoryKv({ now: () => nowMs + (performance.now() - startedAtMs) });
      await testCase.run({
        kv,
        second: kv,
        passTime: async (ms) => {
          nowMs += ms;
        },
      });
      await kv.close();
    });
  }

  it('refuses a further key when full, and has room again when keys have expired', async () => {
    let nowMs = 0;
    const kv = createMemoryKv({ maxKeys: 2, now: () => nowMs });
    await kv.store.set('a', '1', { ttlMs: 10 });
    await kv.store.set('b', '1');
    await expect(kv.store.set('c', '1')).rejects.toMatchObject({ code: 'resource-exhausted' });
    await kv.store.set('b', '2');
    nowMs = 10;
    await kv.store.set('c', '1');
    expect((await kv.store.scan('', 10)).sort()).toEqual(['b', 'c']);
  });
});
