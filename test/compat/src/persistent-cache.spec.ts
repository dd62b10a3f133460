import { writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { persistentCacheTaskIdOfFile } from '@dragonfly/ids';
import { type commonV2, schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { Content, waitFor } from '@dragonfly/testkit';
import { CompatCluster, type Download } from './cluster.js';
import { type Ended, runCommand } from './command.js';
import type { Daemon } from './daemon.js';
import { expectContent } from './expectations.js';
import { describeWithRealPrograms, realProgram } from './real-programs.js';

const MIB = 1024 * 1024;
/** Three pieces of 4 MiB, the last one short. */
const CONTENT_BYTES = 9 * MIB + 4321;
const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 90_000;
const CALL = { deadlineMs: 5_000 };

describeWithRealPrograms('persistent cache tasks of the real dfcache under our scheduler', () => {
  let cluster: CompatCluster;
  let scheduler: schedulerV2.SchedulerClient;
  let daemons: Daemon[];
  let taskId: string;
  const content = new Content(CONTENT_BYTES, 77);

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    const { host, port } = cluster.schedulerEndpoint;
    scheduler = createGrpcClient(schedulerV2.SchedulerClient, `${host}:${port}`);
    daemons = await Promise.all([1, 2, 3].map(async () => cluster.addDaemon({ maker: 'real', isSeed: false })));
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    scheduler.close();
    await cluster.stop();
  }, TEST_TIMEOUT_MS);

  const daemon = (number: number): Daemon => {
    const found = daemons[number];
    if (found === undefined) throw new Error(`no daemon ${number}`);
    return found;
  };
  const dfcache = (on: Daemon, ...args: string[]): Promise<Ended> =>
    runCommand(realProgram('dfcache'), [...args, '--endpoint', on.socket]);
  const statTask = (): Promise<commonV2.PersistentCacheTask> =>
    unary<schedulerV2.StatPersistentCacheTaskRequest, commonV2.PersistentCacheTask>(
      scheduler.statPersistentCacheTask.bind(scheduler),
      { hostId: 'compat-test', taskId },
      CALL,
    );

  it(
    'an imported file gets as many replicas as it asks for',
    async () => {
      const file = cluster.newOutput();
      writeFileSync(file, content.slice());
      const imported = await dfcache(daemon(0), 'import', file, '--persistent-replica-count', '2', '--ttl', '10m');
      expect({ status: imported.status, stderr: imported.stderr }).toEqual({ status: 0, stderr: expect.any(String) });
      // Off a terminal it prints no id.
      taskId = await persistentCacheTaskIdOfFile(Readable.from([content.slice()]));
      await waitFor(async () => (await statTask()).currentPersistentReplicaCount === 2n, {
        what: 'the second replica',
        timeoutMs: 30_000,
      });
      expect(await statTask()).toMatchObject({
        state: 'Succeeded',
        contentLength: BigInt(CONTENT_BYTES),
        pieceCount: 3,
        ttl: { seconds: 600n },
      });
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'it is shown by stat, and exported on every host',
    async () => {
      const shown = await dfcache(daemon(2), 'stat', taskId);
      expect(shown).toMatchObject({ status: 0, stdout: expect.stringContaining('Succeeded') });
      for (const on of daemons) {
        const output = cluster.newOutput();
        const exported: Download = { output, ...(await dfcache(on, 'export', taskId, '--output', output)) };
        await expectContent(exported, content);
      }
      expect((await statTask()).currentReplicaCount).toBeGreaterThanOrEqual(3n);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'the replica of a daemon that leaves is made anew on another one',
    async () => {
      expect(await daemon(0).stop()).toBe(0);
      await waitFor(
        async () => {
          const task = await statTask();
          return task.currentPersistentReplicaCount === 2n && task.currentReplicaCount === 2n;
        },
        { what: 'the third daemon to keep its copy', timeoutMs: 30_000 },
      );
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'a deleted task is gone from the daemons too',
    async () => {
      await unary<schedulerV2.DeletePersistentCacheTaskRequest, object>(
        scheduler.deletePersistentCacheTask.bind(scheduler),
        { hostId: 'compat-test', taskId },
        { deadlineMs: 15_000 },
      );
      for (const on of daemons.slice(1)) {
        const output = cluster.newOutput();
        expect((await dfcache(on, 'export', taskId, '--output', output)).status).not.toBe(0);
      }
    },
    TEST_TIMEOUT_MS,
  );
});
