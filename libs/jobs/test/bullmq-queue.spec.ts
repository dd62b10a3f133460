import { randomUUID } from 'node:crypto';
import { RedisServer } from '@dragonfly/testkit';
import { Redis } from 'ioredis';
import { BullmqJobQueue } from '../src/bullmq-queue.js';
import { queueConformanceCases } from '../src/conformance/index.js';

const redis = await RedisServer.startIfPresent();

if (!redis) {
  console.warn(`skip: the queue on Redis is not tested here: ${RedisServer.missingReason}`);
  it.skip('queue on Redis', () => undefined);
} else {
  const [host = '', port = ''] = redis.address.split(':');
  afterAll(() => redis.stop());

  describe('job queue on Redis', () => {
    let name: string;
    let opened: BullmqJobQueue[];
    const open = (): BullmqJobQueue => {
      const queue = new BullmqJobQueue({ addresses: [{ host, port: Number(port) }], name, leaseMs: 600 });
      opened.push(queue);
      return queue;
    };

    beforeEach(() => {
      name = randomUUID();
      opened = [];
    });
    afterEach(() => Promise.all(opened.map((queue) => queue.close())));

    it.each(queueConformanceCases)('$name', async ({ run }) => {
      await run({
        queue: open(),
        second: open,
        dying: () => {
          const queue = open();
          return {
            queue,
            // Its connections are cut and never made again, as when the process is killed.
            die: async () => {
              const admin = new Redis({ host, port: Number(port) });
              const parts = queue as unknown as Record<'connection', Redis> & {
                worker: { backend?: unknown; close(force: boolean): Promise<void> };
              };
              await parts.worker.close(true);
              parts.connection.disconnect();
              await admin.quit();
            },
          };
        },
      });
    });

    it('fails with unavailable within its deadline when nobody listens', async () => {
      const queue = new BullmqJobQueue({
        addresses: [{ host: '127.0.0.1', port: 1 }],
        name,
        commandTimeoutMs: 200,
      });
      const startedAtMs = performance.now();
      await expect(queue.enqueue({ kind: 'x', payload: {} })).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
      });
      expect(performance.now() - startedAtMs).toBeLessThan(2_000);
      await queue.close();
    });
  });
}
