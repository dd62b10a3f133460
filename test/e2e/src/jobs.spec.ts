import { Content, type CountingOrigin, sha256OfFile, waitFor } from '@dragonfly/testkit';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { ClusterSite } from './cluster-site.js';
import type { LocalCluster } from './local-cluster.js';
import type { ManagerRest } from './manager-rest.js';

const MIB = 1024 * 1024;
const START_TIMEOUT_MS = 240_000;
const TEST_TIMEOUT_MS = 90_000;

interface Job {
  readonly id: number;
  readonly state: string;
  readonly result: { readonly job_states: readonly { readonly error: string; readonly results: unknown[] }[] } | null;
}

describe('jobs of a local cluster', () => {
  let site: ClusterSite;
  let cluster: LocalCluster;
  let origin: CountingOrigin;
  let rest: ManagerRest;

  beforeAll(async () => {
    site = await ClusterSite.start();
    ({ cluster, origin, rest } = site);
  }, START_TIMEOUT_MS);

  afterAll(() => site.stop(), TEST_TIMEOUT_MS);

  /** Puts a job in and waits for its end. */
  async function run(body: object): Promise<Job> {
    const { id } = await rest.request<Job>('POST', '/api/v1/jobs', body);
    const job = await waitFor(
      async () => {
        const seen = await rest.request<Job>('GET', `/api/v1/jobs/${id}`);
        return seen.state !== 'PENDING' && seen;
      },
      { what: `the end of job ${id}`, timeoutMs: 60_000, intervalMs: 200 },
    );
    expect(job).toMatchObject({ state: 'SUCCESS', result: { job_states: [{ error: '' }] } });
    return job;
  }

  it(
    'preheats a file: the source is read once, and a download afterwards reads nothing there (seed 002-39)',
    async () => {
      const content = new Content(24 * MIB, 11);
      const url = origin.put('/model.bin', content);
      const job = await run({ type: 'preheat', args: { type: 'file', url } });
      expect(job.result?.job_states[0]?.results).toMatchObject([
        { success_tasks: [{ url, content_length: 24 * MIB }], failure_tasks: [], scheduler_cluster_id: 1 },
      ]);
      expect(origin.bodyBytesSent('/model.bin')).toBe(24 * MIB);
      const download = await cluster.download(url);
      expect(download.status).toBe(0);
      expect(await sha256OfFile(download.output)).toBe(content.sha256());
      expect(origin.bodyBytesSent('/model.bin')).toBe(24 * MIB);
      expect(download.report?.traffic).toMatchObject({ source: 0 });
      const found = await run({ type: 'get_task', args: { url } });
      const [result] = found.result?.job_states[0]?.results as { peers: { host_type: string }[] }[];
      expect(result?.peers.map((peer) => peer.host_type).sort()).toEqual(['normal', 'super']);
      await run({ type: 'delete_task', args: { url } });
      const gone = await run({ type: 'get_task', args: { url } });
      expect(gone.result?.job_states[0]?.results).toMatchObject([{ peers: [] }]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'preheats an image of a registry that asks for a password, each layer once (seed 002-39)',
    async () => {
      const registry = await FakeRegistry.start({ auth: 'bearer', username: 'bob', password: 'hunter2-secret' });
      const layers = [1, 2, 3].map((seed) => Buffer.alloc(5 * MIB, seed));
      registry.putImage('team/app', layers, { tag: 'v1' });
      const url = registry.manifestUrl('team/app', 'v1');
      const args = { type: 'image', url, username: 'bob', password: 'hunter2-secret' };
      const job = await run({ type: 'preheat', args });
      expect(JSON.stringify(job)).not.toContain('hunter2');
      // The config and three layers.
      const [result] = job.result?.job_states[0]?.results as { success_tasks: { url: string }[] }[];
      expect(result?.success_tasks).toHaveLength(4);
      const readsOf = (blob: string): number =>
        registry.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(blob)).length;
      const digests = result?.success_tasks.map((task) => new URL(task.url).pathname) ?? [];
      const before = digests.map(readsOf);
      await run({ type: 'preheat', args });
      expect(digests.map(readsOf)).toEqual(before);
      const { peers } = await rest.request<{ peers: { cached_layers: unknown[] }[] }>('POST', '/api/v1/jobs', {
        type: 'get_image_distribution',
        args: { url, username: 'bob', password: 'hunter2-secret' },
      });
      expect(peers.map((peer) => peer.cached_layers.length)).toEqual([4]);
      await registry.close();
    },
    TEST_TIMEOUT_MS,
  );

  it('knows its peers after a sync', async () => {
    expect(await rest.request('POST', '/api/v1/jobs', { type: 'sync_peers' })).toBe('OK');
    const peers = await rest.request<{ type: string; state: string }[]>('GET', '/api/v1/peers?per_page=100');
    expect(peers.map(({ type, state }) => `${type} ${state}`).sort()).toEqual(['normal active', 'super active']);
  });
});
