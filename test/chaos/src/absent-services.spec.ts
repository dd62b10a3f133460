import { schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { Content, waitFor } from '@dragonfly/testkit';
import { ChaosCluster } from './chaos-cluster.js';
import { expectClearFailure, expectRight } from './expectations.js';
import { restoredCluster } from './restored-cluster.js';

const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 240_000;
/** A download with a service that is not there; a second where the machine has nothing else to do. */
const DEAD_SERVICE_COST_MS = 20_000;
/** The same when it is there and stands still, which nothing but time tells. */
const SILENT_SERVICE_COST_MS = 30_000;

describe('a cluster that begins with a peer alone', () => {
  let cluster: ChaosCluster;

  beforeEach(async () => {
    cluster = await ChaosCluster.start({ peers: 1, without: ['manager', 'scheduler', 'seed', 'peer-1'] });
  });

  afterEach(async () => {
    await cluster.destroy();
  });

  it(
    'serves downloads from the source before a first word of the manager, and says what it waits for',
    async () => {
      await cluster.launch('peer-1');
      const live = await waitFor(() => cluster.readiness('peer-1'), { what: 'peer-1 to answer', timeoutMs: 30_000 });
      expect(live.status).toBe(503);
      expect(live.text).toMatch(/dynconfig/);

      const content = new Content(9 * MIB, 80);
      const url = cluster.origin.put('/no-manager.bin', content);
      const ended = await cluster.download(url, 'peer-1');
      await expectRight(ended, content);
      expect(ended.report?.traffic.source).toBe(content.lengthBytes);
      expect(ended.durationMs).toBeLessThan(DEAD_SERVICE_COST_MS);

      const forbidden = cluster.origin.put('/no-manager-no-source.bin', new Content(9 * MIB, 81));
      expectClearFailure(await cluster.download(forbidden, 'peer-1', '--disable-back-to-source'), /source|peer/i);
      expect(cluster.origin.bodyBytesSent('/no-manager-no-source.bin')).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'comes together by itself when the rest is started, in whatever order',
    async () => {
      const early = ['peer-1', 'scheduler', 'seed'] as const;
      for (const name of early) await cluster.launch(name);
      for (const name of early) {
        const { status } = await waitFor(() => cluster.readiness(name), {
          what: `${name} to answer`,
          timeoutMs: 30_000,
        });
        expect({ name, status }).toEqual({ name, status: 503 });
      }
      await cluster.launch('manager');
      await cluster.allReady();
      const content = new Content(9 * MIB, 82);
      const url = cluster.origin.put('/together.bin', content);
      const ended = await cluster.download(url, 'peer-1');
      await expectRight(ended, content);
      expect(ended.report?.traffic.seed).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );
});

describe('a cluster of which parts cannot be reached', () => {
  let cluster: ChaosCluster;

  restoredCluster({ peers: 2 }, (started) => {
    cluster = started;
  });

  it(
    'serves a peer whose schedulers are all unreachable when it starts',
    async () => {
      await Promise.all((['scheduler', 'peer-2'] as const).map((name) => cluster.kill(name)));
      await cluster.launch('peer-2');
      await waitFor(() => cluster.readiness('peer-2'), { what: 'peer-2 to answer', timeoutMs: 30_000 });
      const content = new Content(9 * MIB, 83);
      const url = cluster.origin.put('/no-scheduler.bin', content);
      const ended = await cluster.download(url, 'peer-2');
      await expectRight(ended, content);
      expect(ended.durationMs).toBeLessThan(DEAD_SERVICE_COST_MS);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'does not wait long for a scheduler that accepts connections and says nothing',
    async () => {
      const content = new Content(9 * MIB, 87);
      const url = cluster.origin.put('/silent-scheduler.bin', content);
      cluster.pause('scheduler');
      const ended = await cluster.download(url, 'peer-1', '--timeout', '60s');
      await expectRight(ended, content);
      console.log(`a frozen scheduler cost ${(ended.durationMs / 1000).toFixed(1)} s`);
      expect(ended.durationMs).toBeLessThan(SILENT_SERVICE_COST_MS);
      expect(cluster.origin.bodyBytesSent('/silent-scheduler.bin')).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'goes on with the parents it knows when the scheduler falls silent in mid-download',
    async () => {
      const content = new Content(32 * MIB, 88);
      const url = cluster.origin.put('/freezing-scheduler.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-1', '--timeout', '60s');
      await cluster.whenPieces('peer-1', url, 2);
      cluster.pause('scheduler');
      const had = cluster.pieces('peer-1', url);
      const sentBefore = cluster.origin.bodyBytesSent('/freezing-scheduler.bin');
      const ended = await download.ended;
      await expectRight(ended, content);
      console.log(`a scheduler frozen in mid-download: ${(ended.durationMs / 1000).toFixed(1)} s in all`);
      expect(ended.report?.traffic.source).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes);
      expect(cluster.origin.bodyBytesSent('/freezing-scheduler.bin') - sentBefore).toBeLessThanOrEqual(
        2 * content.lengthBytes - had.lengthBytes - sentBefore,
      );
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'announces a host that the scheduler has forgotten again at once, instead of going to the source',
    async () => {
      const client = createGrpcClient(schedulerV2.SchedulerClient, cluster.grpcAddress('scheduler'));
      try {
        for (const peer of ['peer-1', 'peer-2'] as const) {
          const hostId = `127.0.0.1-chaos-${peer}`;
          await unary<schedulerV2.DeleteHostRequest, unknown>(
            client.deleteHost.bind(client),
            { hostId },
            { deadlineMs: 5000 },
          );
          const content = new Content(9 * MIB, 84);
          const path = `/forgotten-${peer}.bin`;
          const ended = await cluster.download(cluster.origin.put(path, content), peer);
          await expectRight(ended, content);
          expect({ peer, source: ended.report?.traffic.source }).toEqual({ peer, source: 0 });
          expect(cluster.origin.bodyBytesSent(path)).toBe(content.lengthBytes);
        }
      } finally {
        client.close();
      }
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'does not wait for parents that accept connections and say nothing',
    async () => {
      const content = new Content(9 * MIB, 85);
      const url = cluster.origin.put('/frozen-parents.bin', content);
      await expectRight(await cluster.download(url, 'peer-1'), content);
      cluster.pause('peer-1');
      cluster.pause('seed');
      const ended = await cluster.download(url, 'peer-2', '--timeout', '60s');
      await expectRight(ended, content);
      console.log(`frozen parents cost ${(ended.durationMs / 1000).toFixed(1)} s`);
      expect(ended.durationMs).toBeLessThan(40_000);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'leaves parents that fall silent in mid-download',
    async () => {
      const content = new Content(48 * MIB, 86);
      const url = cluster.origin.put('/freezing-parents.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-2', '--timeout', '80s');
      await cluster.whenPieces('peer-2', url, 2);
      cluster.pause('seed');
      const had = cluster.pieces('peer-2', url);
      const ended = await download.ended;
      await expectRight(ended, content);
      console.log(`a parent frozen in mid-download cost ${(ended.durationMs / 1000).toFixed(1)} s in all`);
      expect(ended.report?.traffic.source).toBeLessThanOrEqual(content.lengthBytes - had.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );
});
