import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@dragonfly/testkit';
import { Redis } from 'ioredis';
import { kvConformanceCases } from '../src/conformance/index.js';
import { createRedisKv } from '../src/redis-kv.js';
import { startRedis } from './redis-process.js';

const redis = await startRedis(process.env['DRAGONFLY_TEST_REDIS_URL']);

if (typeof redis === 'string') {
  console.warn(`the Redis adapter is not tested here: ${redis}`);
  it.skip(`Redis adapter: ${redis}`, () => undefined);
} else {
  const open = (commandTimeoutMs = 5_000): ReturnType<typeof createRedisKv> =>
    createRedisKv({ addresses: [{ host: redis.host, port: redis.port }], commandTimeoutMs });
  afterAll(() => redis.stop());

  describe('Redis key-value store', () => {
    for (const testCase of kvConformanceCases) {
      it(testCase.name, async () => {
        const [kv, second] = [open(), open()];
        try {
          await testCase.run({ kv, second, passTime: (ms) => delay(ms) });
        } finally {
          await kv.close();
          await second.close();
        }
      });
    }

    it('fails with unavailable within its deadline when nobody listens', async () => {
      const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: 1 }], commandTimeoutMs: 200 });
      const startedAtMs = performance.now();
      await expect(kv.store.get('a')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      expect(performance.now() - startedAtMs).toBeLessThan(2_000);
      await kv.close();
    });

    it('is waited for once when it is away: what is asked next fails soon', async () => {
      const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: 1 }], commandTimeoutMs: 1_500 });
      await expect(kv.store.get('a')).rejects.toMatchObject({ code: 'unavailable' });
      const startedAtMs = performance.now();
      for (const key of ['b', 'c', 'd']) {
        await expect(kv.store.get(key)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      }
      expect(performance.now() - startedAtMs).toBeLessThan(1_500);
      await kv.close();
    });

    (redis.isOurs ? it : it.skip)(
      'is waited for once when it says nothing, and trusted again at its next word',
      async () => {
        const kv = open(1_500);
        await kv.store.set('silent', '1');
        const control = new Redis(redis.port, redis.host);
        await control.call('CLIENT', 'PAUSE', '4000', 'ALL');
        const startedAtMs = performance.now();
        for (let count = 0; count < 4; count += 1) {
          await expect(kv.store.get('silent')).rejects.toMatchObject({ code: 'deadline-exceeded' });
        }
        expect(performance.now() - startedAtMs).toBeLessThan(3_500);
        await waitFor(async () => (await kv.store.get('silent').catch(() => undefined)) === '1', { what: 'an answer' });
        control.disconnect();
        await kv.close();
      },
    );

    it('is closed while a command waits for the connection: the command fails at once', async () => {
      const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: 1 }], commandTimeoutMs: 60_000 });
      const waiting = kv.store.get('a');
      await kv.close();
      await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    });

    (redis.isOurs ? it : it.skip)('works again after the server came back, subscriptions included', async () => {
      const kv = open(10_000);
      const arrived: string[] = [];
      await kv.pubSub.subscribe('channel', (message) => arrived.push(message));
      await kv.store.set('a', '1');
      await redis.restart();
      expect(await kv.store.get('a')).toBeUndefined();
      await kv.store.set('a', '2');
      expect(await kv.store.get('a')).toBe('2');
      // A message is lost while the subscriber is away: publish until one arrives.
      const giveUp = AbortSignal.timeout(8_000);
      while (arrived.length === 0 && !giveUp.aborted) {
        await kv.pubSub.publish('channel', 'back');
        await delay(20);
      }
      expect(arrived[0]).toBe('back');
      await kv.close();
    });
  });
}
