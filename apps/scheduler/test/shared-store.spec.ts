import { createRedisKv } from '@dragonfly/kv';
import { ChildService, freePort, RedisServer, tempDir, waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { KindClient } from './support/durable-kinds.js';
import { TestCluster } from './support/test-cluster.js';

/** Longest time a persistent call may take to fail while Redis is away; its own deadline is 1 s. */
const CLEAR_FAILURE_MS = 3_000;

const missing = RedisServer.missingReason;
if (missing !== undefined) console.warn(`skip: schedulers that share a store: ${missing}`);

(missing === undefined ? describe : describe.skip)('schedulers that share a Redis', () => {
  let port: number;
  let redis: ChildService;
  const directory = tempDir('shared-store');

  const startRedis = (): Promise<ChildService> =>
    ChildService.start({
      name: 'redis-server',
      command: 'redis-server',
      args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory.path, '--appendonly', 'yes'],
      readyOutput: /Ready to accept connections/,
    });

  beforeAll(async () => {
    port = await freePort();
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis.stop();
    directory.remove();
  });

  const start = (): Promise<TestCluster> =>
    TestCluster.start({ changes: { DATABASE__REDIS__ADDRS: `["127.0.0.1:${port}"]` } });

  it('know each other’s tasks, peers and hosts, also after a restart', async () => {
    const owner = { hostId: '', taskId: 'shared', peerId: 'shared-owner' };
    {
      await using first = await start();
      await using second = await start();
      const [one, two] = [
        new KindClient('persistentCache', first.client),
        new KindClient('persistentCache', second.client),
      ];
      owner.hostId = await first.host('owner', { downloadPort: 4001 });
      await one.uploadStarted(owner);
      await expect(
        two.uploadStarted({ ...owner, hostId: await second.host('other'), peerId: 'x' }),
      ).rejects.toMatchObject({
        code: 'already-exists',
      });
      await one.uploadFinished(owner);
      expect(await two.statTask('shared')).toMatchObject({ state: 'Succeeded', currentReplicaCount: 1n });
    }
    await using third = await start();
    const kind = new KindClient('persistentCache', third.client);
    const child = kind.announce({ hostId: await third.host('child'), taskId: 'shared', peerId: 'shared-child' });
    await child.register();
    expect(await child.parents()).toMatchObject([
      { id: 'shared-owner', host: { ip: '127.0.0.1', downloadPort: 4001 } },
    ]);
    await child.started();
    await child.finished();
    expect(await child.end()).toBe('OK');
  });

  it('a peer whose scheduler stops is nobody’s parent afterwards', async () => {
    const child = { hostId: '', taskId: 'stopped', peerId: 'stopped-child' };
    {
      await using first = await start();
      const kind = new KindClient('persistentCache', first.client);
      const owner = { hostId: await first.host('stopped-owner'), taskId: 'stopped', peerId: 'stopped-owner' };
      await kind.uploadStarted(owner);
      await kind.uploadFinished(owner);
      child.hostId = await first.host('stopped-child');
      const peer = kind.announce(child);
      await peer.register();
      await peer.parents();
      await peer.started();
      await waitFor(async () => (await kind.statPeer(child.peerId)).state === 'Running', { what: 'the peer to run' });
    }
    await using second = await start();
    const kind = new KindClient('persistentCache', second.client);
    expect(await kind.statPeer(child.peerId)).toMatchObject({ state: 'Failed' });
    expect(await kind.statTask('stopped')).toMatchObject({ currentReplicaCount: 1n });
  });

  it('write the keys and fields that the manager reads, in database 0', async () => {
    await using cluster = await start();
    const kind = new KindClient('persistent', cluster.client);
    const owner = { hostId: await cluster.host('keys'), taskId: 'keys', peerId: 'keys-owner' };
    await kind.uploadStarted(owner, { ttlSeconds: 600n });
    const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port }] });
    try {
      const prefix = 'scheduler:scheduler-clusters:1:';
      const peers = 'persistent-cache-peers-for-persistent-task';
      const task = await kv.records.read(`${prefix}persistent-tasks:keys`);
      expect(task?.get('state')?.toString()).toBe('Uploading');
      expect(task?.get('ttl')?.toString()).toBe('600000000000');
      expect((await kv.records.read(`${prefix}${peers}:keys-owner`))?.get('host_id')?.toString()).toBe(owner.hostId);
      for (const set of [
        `${prefix}persistent-tasks:keys:${peers}`,
        `${prefix}persistent-tasks:keys:persistent-peers-for-persistent-task`,
        `${prefix}persistent-hosts:${owner.hostId}:${peers}`,
      ]) {
        expect(await kv.records.members(set, 10)).toEqual(['keys-owner']);
      }
      await waitFor(() => kv.records.hasMember(`${prefix}persistent-cache-hosts`, owner.hostId), { what: 'the host' });
      const host = await kv.records.read(`${prefix}persistent-hosts:${owner.hostId}`);
      expect(host?.get('ip')?.toString()).toBe('127.0.0.1');
    } finally {
      await kv.close();
    }
  });

  it('fail persistent calls clearly while Redis is away, serve standard ones, and come back by themselves', async () => {
    await using cluster = await start();
    const kind = new KindClient('persistentCache', cluster.client);
    const owner = { hostId: await cluster.host('away'), taskId: 'away', peerId: 'away-owner' };
    await kind.uploadStarted(owner);
    const open = kind.announce({ hostId: await cluster.host('open'), taskId: 'away', peerId: 'away-open' });
    await kind.uploadFinished(owner);
    await open.register();
    await open.parents();
    await redis.kill('SIGKILL');

    const calls: (() => Promise<unknown>)[] = [
      () => kind.statTask('away'),
      () => kind.statPeer('away-owner'),
      () => kind.uploadStarted({ ...owner, taskId: 'away-2', peerId: 'away-2' }),
      () => kind.uploadFinished(owner),
      () => kind.uploadFailed(owner),
      () => kind.deleteTask('away'),
      () => kind.deletePeer(owner),
    ];
    const results = await Promise.all(
      calls.map(async (call) => {
        const startedAtMs = performance.now();
        const error: unknown = await call().then(
          () => undefined,
          (caught: unknown) => caught,
        );
        return { error, tookMs: performance.now() - startedAtMs };
      }),
    );
    for (const { error, tookMs } of results) {
      expect(error).toMatchObject({ code: 'unavailable' });
      expect(tookMs).toBeLessThan(CLEAR_FAILURE_MS);
    }
    await open.started();
    expect(await open.end()).toMatchObject({ code: 'unavailable' });

    const standard = await cluster.peer('standard-task');
    await standard.register(aDownload());
    expect((await standard.answer()).$case).toBe('needBackToSourceResponse');
    await standard.sourceStarted();
    await standard.sourceFinished();
    expect(await standard.end()).toBe('OK');

    redis = await startRedis();
    await waitFor(
      () =>
        kind.statTask('away').then(
          () => true,
          () => false,
        ),
      { what: 'the store to be back', timeoutMs: 10_000 },
    );
    expect(await kind.statTask('away')).toMatchObject({ state: 'Succeeded' });
  }, 30_000);
});
