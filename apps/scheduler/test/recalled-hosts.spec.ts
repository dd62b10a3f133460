import { jest } from '@jest/globals';
import { createRedisKv } from '@dragonfly/kv';
import { RedisServer, waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

jest.setTimeout(30_000);

const missing = RedisServer.missingReason;
if (missing !== undefined) console.warn(`skip: hosts of other schedulers: ${missing}`);

(missing === undefined ? describe : describe.skip)(
  'a scheduler that was started after hosts had announced themselves',
  () => {
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

    async function isInStore(hostId: string, isIn: boolean): Promise<void> {
      const kv = createRedisKv({ addresses: [{ host: '127.0.0.1', port: redis.port }] });
      const hosts = 'scheduler:scheduler-clusters:1:persistent-hosts';
      try {
        const what = `${hostId} to be ${isIn ? 'written to' : 'taken from'} the store`;
        await waitFor(async () => (await kv.records.hasMember(hosts, hostId)) === isIn, { what });
      } finally {
        await kv.close();
      }
    }

    it('serves a host that has announced itself to another scheduler, as one of its own (seed 002-10)', async () => {
      await using first = await start();
      const hostId = await first.host('known', { port: 4321 }, 300);
      await isInStore(hostId, true);
      await using second = await start();
      expect(await second.listHosts()).toEqual([]);
      const peer = await second.peer('task', hostId);
      await peer.register(aDownload());
      expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
      await peer.sourceStarted();
      for (const number of [0, 1, 2]) await peer.sourcePiece(number);
      await peer.sourceFinished();
      expect(await peer.end()).toBe('OK');
      expect(await second.listHosts()).toEqual([hostId]);
      expect((await second.statPeer(peer.ids.peerId)).host).toMatchObject({ id: hostId, port: 4321 });
    });

    it('refuses a host that nobody knows, or that has left', async () => {
      await using first = await start();
      const gone = await first.host('gone', {}, 300);
      await isInStore(gone, true);
      await first.call('deleteHost', { hostId: gone });
      await isInStore(gone, false);
      await using second = await start();
      for (const hostId of [gone, '127.0.0.1-nobody']) {
        const peer = await second.peer('task', hostId);
        await peer.register(aDownload());
        expect(await peer.end()).toMatchObject({ code: 'not-found' });
      }
      expect(await second.listHosts()).toEqual([]);
    });
  },
);
