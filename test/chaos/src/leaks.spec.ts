import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { LightClient } from '@dragonfly/light';
import { dfdaemonV2, schedulerV2, type commonV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { Content, waitFor } from '@dragonfly/testkit';
import { ChaosCluster } from './chaos-cluster.js';
import type { ServiceName } from './cluster-config.js';
import { figuresOf, slopeOf, type ProcessFigures } from './process-figures.js';

const MIB = 1024 * 1024;
const KIB = 1024;
const IS_LONG = process.env['DRAGONFLY_TEST_LONG'] === '1';

/** The store keeps so many files open at most; sockets come on top. */
const STORE_OPEN_FILES = 512;
const CONCURRENCY = 4;
const SAMPLES = 20;
const SERVICES: readonly ServiceName[] = ['manager', 'scheduler', 'seed', 'peer-1'];

/** V8 lets a heap grow far beyond what lives in it while the machine has room; with this bound garbage is not taken for a leak. */
const NODE_FLAGS = ['--max-old-space-size=128'];
/**
 * Each download leaves a task behind in the stores of peer and seed peer and in the scheduler's memory until their garbage
 * collection takes it: not a leak, but memory (5 to 10 KiB live). The bound of a slope is what a task may cost. A short
 * run shows mostly how the heap grows to its bound, so its bound is wider.
 */
const PLAN = IS_LONG
  ? { warmUp: 600, downloads: 2000, reconnects: 1000, rssSlopeBytes: 32 * KIB, timeoutMs: 900_000 }
  : { warmUp: 60, downloads: 200, reconnects: 100, rssSlopeBytes: 400 * KIB, timeoutMs: 150_000 };
/** Idle connections come and go a little. */
const SOCKET_TOLERANCE = 12;

type Sample = Readonly<Record<string, ProcessFigures>>;

describe(`over ${PLAN.downloads} downloads and ${PLAN.reconnects} reconnects`, () => {
  let cluster: ChaosCluster;
  let made = 0;

  beforeAll(async () => {
    cluster = await ChaosCluster.start({ peers: 1, nodeFlags: NODE_FLAGS });
  }, 120_000);

  afterAll(async () => {
    await cluster.destroy();
  });

  function sample(): Sample {
    return Object.fromEntries(SERVICES.map((name) => [name, figuresOf(cluster.pid(name))]));
  }

  /** One file of 1 MiB that nobody has. */
  async function downloadOne(directory: string): Promise<void> {
    made += 1;
    const name = `leak-${made}`;
    const output = path.join(directory, name);
    const url = cluster.origin.put(`/${name}`, new Content(MIB, made));
    const client = await LightClient.connect(cluster.lightSocket('peer-1'));
    try {
      const done = await client.download({ url, output, overwrite: true });
      expect(done.contentLength).toBe(MIB);
    } finally {
      client.close();
      rmSync(output, { force: true });
    }
  }

  /** @returns figures along the way, by the number of the download */
  async function downloadMany(count: number): Promise<{ at: number; figures: Sample }[]> {
    const directory = cluster.scratch();
    const samples = [{ at: 0, figures: sample() }];
    let begun = 0;
    let ended = 0;
    await Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        while (begun < count) {
          begun += 1;
          await downloadOne(directory);
          ended += 1;
          if (ended % Math.ceil(count / SAMPLES) === 0) samples.push({ at: ended, figures: sample() });
        }
      }),
    );
    return samples;
  }

  /** Comes and goes on every kind of port. */
  async function reconnect(): Promise<void> {
    const light = await LightClient.connect(cluster.lightSocket('peer-1'));
    await light.hello();
    light.close();
    await touch(cluster.piecePort('peer-1'));
    await touch(cluster.piecePort('seed'));
    const daemon = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, cluster.grpcAddress('peer-1'));
    const scheduler = createGrpcClient(schedulerV2.SchedulerClient, cluster.grpcAddress('scheduler'));
    try {
      const unknownTask = { taskId: 'f'.repeat(64) };
      await expect(
        unary<dfdaemonV2.StatTaskRequest, commonV2.Task>(daemon.statTask.bind(daemon), unknownTask, {
          deadlineMs: 5000,
        }),
      ).rejects.toMatchObject({ name: 'DfError' });
      const { hosts } = await unary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
        scheduler.listHosts.bind(scheduler),
        {},
        { deadlineMs: 5000 },
      );
      expect(hosts.length).toBe(2);
      // A stream that breaks off after its first message.
      const stream = scheduler.announcePeer();
      stream.on('error', () => {});
      stream.write({ hostId: 'h', taskId: 't', peerId: 'p' });
      stream.cancel();
    } finally {
      daemon.close();
      scheduler.close();
    }
  }

  function report(title: string, first: Sample, last: Sample, slopes?: ReadonlyMap<string, number>): void {
    const lines = SERVICES.map((name) => {
      const [before, after] = [first[name], last[name]];
      if (before === undefined || after === undefined) return name;
      const slope = slopes?.get(name);
      return [
        name.padEnd(10),
        `RSS ${(before.rssBytes / MIB).toFixed(0)} -> ${(after.rssBytes / MIB).toFixed(0)} MiB`,
        ...(slope === undefined ? [] : [`${(slope / KIB).toFixed(1)} KiB a download`]),
        `fds ${before.fds} -> ${after.fds}`,
        `sockets ${before.sockets} -> ${after.sockets}`,
        `threads ${before.threads} -> ${after.threads}`,
      ].join('  ');
    });
    console.log([title, ...lines].join('\n'));
  }

  /** Sockets that are closing are given the time to. */
  async function expectSocketsBack(before: Sample): Promise<Sample> {
    return waitFor(
      () => {
        const now = sample();
        const surplus = SERVICES.filter(
          (name) => (now[name]?.sockets ?? 0) > (before[name]?.sockets ?? 0) + SOCKET_TOLERANCE,
        );
        if (surplus.length > 0) throw new Error(`${surplus.join(', ')}: ${JSON.stringify(now)}`);
        return now;
      },
      { what: 'sockets to be closed', timeoutMs: 30_000, intervalMs: 250 },
    );
  }

  it(
    'memory, descriptors and sockets of every process stay flat',
    async () => {
      await downloadMany(PLAN.warmUp);
      const before = sample();
      const samples = await downloadMany(PLAN.downloads);
      const after = await expectSocketsBack(before);
      const slopes = new Map(
        SERVICES.map((name) => [
          name,
          slopeOf(samples.map(({ at, figures }) => ({ x: at, y: figures[name]?.rssBytes ?? 0 }))),
        ]),
      );
      report(`${PLAN.downloads} downloads of 1 MiB, after ${PLAN.warmUp} to warm up`, before, after, slopes);
      for (const name of SERVICES) {
        const files = (after[name]?.fds ?? Infinity) - (after[name]?.sockets ?? 0);
        expect({ name, areFilesBounded: files < STORE_OPEN_FILES + 64, files }).toMatchObject({
          areFilesBounded: true,
        });
        const slopeBytes = slopes.get(name) ?? Infinity;
        expect({ name, isFlat: slopeBytes < PLAN.rssSlopeBytes, slopeBytes }).toEqual({
          name,
          isFlat: true,
          slopeBytes,
        });
        expect(after[name]?.threads).toBeLessThanOrEqual((before[name]?.threads ?? 0) + 4);
      }
      expect(cluster.origin.bodyBytesSent()).toBe((PLAN.warmUp + PLAN.downloads) * MIB);
    },
    PLAN.timeoutMs,
  );

  it(
    'callers that come and go leave nothing behind',
    async () => {
      const before = sample();
      for (let count = 0; count < PLAN.reconnects; count += 1) await reconnect();
      const after = await expectSocketsBack(before);
      report(`${PLAN.reconnects} reconnects`, before, after);
      for (const name of SERVICES) {
        const growth = (after[name]?.fds ?? Infinity) - (before[name]?.fds ?? 0);
        expect({ name, growth: Math.max(0, growth - SOCKET_TOLERANCE) }).toEqual({ name, growth: 0 });
      }
    },
    PLAN.timeoutMs,
  );
});

/** Connects and hangs up. */
async function touch(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      resolve();
    });
  });
}
