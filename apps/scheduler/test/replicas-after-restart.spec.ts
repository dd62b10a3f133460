import { jest } from '@jest/globals';
import { createRedisKv } from '@dragonfly/kv';
import { RedisServer, waitFor } from '@dragonfly/testkit';
import { KindClient } from './support/durable-kinds.js';
import { ReplicaDaemon } from './support/replica-daemon.js';
import { TestCluster } from './support/test-cluster.js';

jest.setTimeout(30_000);

const missing = RedisServer.missingReason;
if (missing !== undefined) console.warn(`skip: replicas after a restart: ${missing}`);

(missing === undefined ? describe : describe.skip)('replicas that are missing when a scheduler stops', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    const started = await RedisServer.startIfPresent();
    if (started === undefined) throw new Error(RedisServer.missingReason);
    redis = started;
  });
  afterAll(async () => {
    await redis.stop();
  });

  const start = (): Promise<TestCluster> =>
    TestCluster.start({ changes: { DATABASE__REDIS__ADDRS: `["${redis.address}"]` } });

  it('are made by the next one as soon as a host has announced itself, and are then missing no more', async () => {
    const short = 'scheduler:scheduler-clusters:1:persistent-cache-tasks-short-of-replicas';
    const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: redis.port }] });
    try {
      {
        await using first = await start();
        const kind = new KindClient('persistentCache', first.client);
        const owner = { hostId: await first.host('owner'), taskId: 'task', peerId: 'owner' };
        await kind.uploadStarted(owner, { replicas: 2n });
        await kind.uploadFinished(owner);
        await waitFor(() => kv.records.hasMember(short, 'task'), { what: 'the task to be noted' });
      }
      expect(await kv.records.members(short, 10)).toEqual(['task']);
      await using second = await start();
      await using daemon = await ReplicaDaemon.start();
      const kind = new KindClient('persistentCache', second.client);
      daemon.onDownload = async (taskId) => {
        const peer = kind.announce({ hostId: '127.0.0.1-keeper', taskId, peerId: 'keeper' });
        await peer.register({ persistent: true });
        await peer.parents();
        await peer.started();
        await peer.finished();
        await peer.end();
      };
      await second.host('keeper', { downloadPort: daemon.port });
      await waitFor(async () => (await kind.statTask('task')).currentPersistentReplicaCount === 2n, {
        what: 'the second replica',
        timeoutMs: 15_000,
      });
      await waitFor(async () => !(await kv.records.hasMember(short, 'task')), { what: 'the note to be taken back' });
    } finally {
      await kv.close();
    }
  });
});
