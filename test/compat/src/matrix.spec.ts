import { FakeRegistry } from '@dragonfly/registry/testing';
import { Content, waitFor } from '@dragonfly/testkit';
import { CompatCluster, type Download } from './cluster.js';
import type { Daemon } from './daemon.js';
import { expectContent, expectFetchedOnce, trafficDuring } from './expectations.js';
import { describeWithRealPrograms } from './real-programs.js';

const MIB = 1024 * 1024;
/** 17 pieces of 4 MiB, the last one short. */
const CONTENT_BYTES = 16 * 4 * MIB + 4321;
const START_TIMEOUT_MS = 180_000;
const TEST_TIMEOUT_MS = 120_000;

type Maker = 'ours' | 'original';

interface Job {
  readonly id: number;
  readonly state: string;
  readonly result: {
    readonly job_states: readonly { readonly error: string; readonly results: Record<string, unknown>[] }[];
  } | null;
}

/** One cluster with a seed and two peers of a maker. */
function cellOf(manager: Maker, scheduler: Maker, daemons: 'ours' | 'real'): void {
  let cluster: CompatCluster;
  let seed: Daemon;
  let first: Daemon;
  let second: Daemon;

  beforeAll(async () => {
    cluster = await CompatCluster.start({ manager, scheduler });
    seed = await cluster.addDaemon({ maker: daemons, isSeed: true });
    first = await cluster.addDaemon({ maker: daemons, isSeed: false });
    second = await cluster.addDaemon({ maker: daemons, isSeed: false });
  }, START_TIMEOUT_MS);

  afterAll(() => cluster.stop(), TEST_TIMEOUT_MS);

  const dfget = (daemon: Daemon, url: string, ...flags: string[]): Promise<Download> =>
    daemons === 'ours' ? cluster.ourDfget(daemon, url, ...flags) : cluster.realDfget(daemon, url, ...flags);

  it(
    'a file is read from the source once, by the seed; peers get it from there and from each other',
    async () => {
      const content = new Content(CONTENT_BYTES, 41);
      const url = cluster.origin.put('/cold.bin', content);
      const cold = await trafficDuring(first, async () => expectContent(await dfget(first, url), content));
      expect(cold).toEqual({ fromSource: 0, fromPeers: CONTENT_BYTES });
      const warm = await trafficDuring(second, async () => expectContent(await dfget(second, url), content));
      expect(warm).toEqual({ fromSource: 0, fromPeers: CONTENT_BYTES });
      expectFetchedOnce(cluster.origin, '/cold.bin', content, 3);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'peers that begin together get the file from the seed',
    async () => {
      const content = new Content(CONTENT_BYTES, 42);
      const url = cluster.origin.put('/together.bin', content);
      const downloads = await Promise.all([dfget(first, url), dfget(second, url)]);
      for (const download of downloads) await expectContent(download, content);
      expectFetchedOnce(cluster.origin, '/together.bin', content, 3);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'small and empty files, and parts of files, are right',
    async () => {
      const small = new Content(100_000, 43);
      await expectContent(await dfget(first, cluster.origin.put('/small.bin', small)), small);
      const empty = new Content(0);
      const url = cluster.origin.put('/empty.bin', empty);
      await expectContent(await dfget(first, url), empty);
      const tagged = new Content(9 * MIB, 44);
      const at = cluster.origin.put('/tagged.bin', tagged);
      await expectContent(await dfget(second, at, '--tag', 'blue'), tagged);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'what the origin does not have fails, and the next download is not the worse for it',
    async () => {
      const missing = await dfget(first, cluster.origin.url('/missing.bin'));
      expect(missing.status).not.toBe(0);
      expect(missing.stdout + missing.stderr).toMatch(/404/);
      const content = new Content(9 * MIB, 45);
      await expectContent(await dfget(first, cluster.origin.put('/after.bin', content)), content);
    },
    TEST_TIMEOUT_MS,
  );

  if (manager === 'ours') {
    const run = async (body: object): Promise<Record<string, unknown>> => {
      const { id } = await cluster.rest<Job>('POST', 'jobs', body);
      const job = await waitFor(
        async () => {
          const seen = await cluster.rest<Job>('GET', `jobs/${id}`);
          return seen.state !== 'PENDING' && seen;
        },
        { what: `the end of job ${id}`, timeoutMs: 90_000, intervalMs: 300 },
      );
      expect(job).toMatchObject({ state: 'SUCCESS', result: { job_states: [{ error: '' }] } });
      return job.result?.job_states[0]?.results[0] ?? {};
    };
    const holders = async (args: object): Promise<string[]> => {
      const { peers } = (await run({ type: 'get_task', args })) as { peers: { hostname: string }[] };
      return peers.map(({ hostname }) => hostname).sort();
    };
    const everybody = (): string[] => [seed, first, second].map(({ name }) => name).sort();

    it(
      'jobs: a file on every daemon, found there, deleted everywhere; a tagged one; by the single seed',
      async () => {
        const content = new Content(9 * MIB, 46);
        const url = cluster.origin.put('/preheat.bin', content);
        await run({ type: 'preheat', args: { type: 'file', url, scope: 'all_peers' } });
        expect(await holders({ url })).toEqual(everybody());
        await run({ type: 'delete_task', args: { url } });
        expect(await holders({ url })).toEqual([]);

        await run({ type: 'preheat', args: { type: 'file', url, tag: 'green', scope: 'all_peers' } });
        expect(await holders({ url, tag: 'green' })).toEqual(everybody());
        expect(await holders({ url })).toEqual([]);

        const single = cluster.origin.put('/single.bin', content);
        await run({ type: 'preheat', args: { type: 'file', url: single } });
        expect(await holders({ url: single })).toEqual([seed.name]);
        expectFetchedOnce(cluster.origin, '/single.bin', content, 1);
      },
      TEST_TIMEOUT_MS,
    );

    it(
      'jobs: the layers of an image on every daemon',
      async () => {
        const registry = await FakeRegistry.start({ auth: 'bearer', username: 'ann', password: 'pw' });
        try {
          const layers = [1, 2].map((fill) => Buffer.alloc(5 * MIB, fill));
          registry.putImage('team/app', layers, { tag: 'v1' });
          const image = { url: registry.manifestUrl('team/app', 'v1'), username: 'ann', password: 'pw' };
          await run({ type: 'preheat', args: { type: 'image', ...image, scope: 'all_peers' } });
          const { peers } = await cluster.rest<{ peers: { cached_layers: unknown[] }[] }>('POST', 'jobs', {
            type: 'get_image_distribution',
            args: image,
          });
          expect(peers.map((peer) => peer.cached_layers.length)).toEqual([3, 3, 3]);
        } finally {
          await registry.close();
        }
      },
      TEST_TIMEOUT_MS,
    );
  }
}

const CONTROL_PLANES: readonly { manager: Maker; scheduler: Maker }[] = [
  { manager: 'ours', scheduler: 'ours' },
  { manager: 'ours', scheduler: 'original' },
  { manager: 'original', scheduler: 'ours' },
  { manager: 'original', scheduler: 'original' },
];

for (const { manager, scheduler } of CONTROL_PLANES) {
  describe(`manager: ${manager}, scheduler: ${scheduler}, daemons: ours`, () => {
    cellOf(manager, scheduler, 'ours');
  });
  describeWithRealPrograms(`manager: ${manager}, scheduler: ${scheduler}, daemons: real`, () => {
    cellOf(manager, scheduler, 'real');
  });
}
