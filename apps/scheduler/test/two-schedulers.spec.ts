import { jest } from '@jest/globals';
import { createRedisKv } from '@dragonfly/kv';
import { RedisServer, waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { FakeDaemon } from './support/fake-daemon.js';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

jest.setTimeout(20_000);

const missing = RedisServer.missingReason;
if (missing !== undefined) console.warn(`skip: schedulers that are asked for the same task: ${missing}`);

(missing === undefined ? describe : describe.skip)('two schedulers that are asked for the same task', () => {
  let redis: RedisServer;
  let daemon: FakeDaemon;

  beforeAll(async () => {
    const started = await RedisServer.startIfPresent();
    if (started === undefined) throw new Error(RedisServer.missingReason);
    redis = started;
  });
  afterAll(async () => {
    await redis.stop();
  });
  beforeEach(async () => {
    daemon = await FakeDaemon.start();
  });
  afterEach(async () => {
    await daemon[Symbol.asyncDispose]();
  });

  const start = (): Promise<TestCluster> =>
    TestCluster.start({ changes: { DATABASE__REDIS__ADDRS: `["${redis.address}"]` } });

  /** A host whose daemon answers, announced to both schedulers as daemons do. */
  async function announced(name: string, ...clusters: TestCluster[]): Promise<string> {
    const [id = ''] = await Promise.all(clusters.map((cluster) => cluster.host(name, { port: daemon.port })));
    return id;
  }

  /** A peer that has fetched a task from the source. */
  async function finishedAtSource(cluster: TestCluster, taskId: string, hostId: string): Promise<TestPeer> {
    const peer = await cluster.peer(taskId, hostId, `${taskId}-holder`);
    await peer.register(aDownload());
    expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
    await peer.sourceStarted();
    for (const number of [0, 1, 2]) await peer.sourcePiece(number);
    await peer.sourceFinished();
    expect(await peer.end()).toBe('OK');
    daemon.held.set(taskId, true);
    return peer;
  }

  /** Waits until a scheduler has told the others who has the task. */
  async function toldOf(taskId: string): Promise<void> {
    const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: redis.port }], db: 2 });
    try {
      await waitFor(async () => (await kv.records.read(`scheduler:1:task-holders:${taskId}`)) !== undefined, {
        what: 'the board to name a holder',
      });
    } finally {
      await kv.close();
    }
  }

  it('the second offers a host that has the task through the first, and nobody reads the source again', async () => {
    await using first = await start();
    await using second = await start();
    const holder = await finishedAtSource(first, 'done-elsewhere', await announced('done', first, second));
    await toldOf('done-elsewhere');
    const child = await second.peer('done-elsewhere');
    await child.register(aDownload());
    expect(await child.parents()).toMatchObject([{ id: holder.id, host: { hostname: 'done' } }]);
  });

  it('the second offers whoever reads the source for the first, as soon as that has a piece', async () => {
    await using first = await start();
    await using second = await start();
    const reader = await first.peer('under-way', await announced('reader', first, second), 'reader');
    await reader.register(aDownload());
    expect((await reader.answer()).$case).toBe('needBackToSourceResponse');
    await reader.sourceStarted();
    const waiting = await second.peer('under-way');
    await waiting.register(aDownload());
    await second.statTask('under-way');
    expect(await waiting.hasAnswer()).toBe(false);
    daemon.held.set('under-way', false);
    await reader.sourcePiece(0);
    expect(await waiting.parents()).toMatchObject([{ id: reader.id, host: { hostname: 'reader' } }]);
  });

  it('a host that has lost the task is not offered, and the source is read once more', async () => {
    await using first = await start();
    await using second = await start();
    await finishedAtSource(first, 'lost', await announced('forgetful', first, second));
    await toldOf('lost');
    daemon.held.delete('lost');
    const child = await second.peer('lost');
    await child.register(aDownload());
    expect((await child.answer()).$case).toBe('needBackToSourceResponse');
  });

  it('a peer that comes over to the other scheduler takes the place of its own guest', async () => {
    await using first = await start();
    await using second = await start();
    const holder = await finishedAtSource(first, 'moves', await announced('mover', first, second));
    await toldOf('moves');
    const child = await second.peer('moves');
    await child.register(aDownload());
    await child.parents();
    const moved = await second.peer('moves', holder.ids.hostId, holder.id);
    await moved.register(aDownload({ metadataOnly: true }));
    expect((await moved.answer()).$case).toBe('metadataOnlyResponse');
  });
});
