import { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { extObjectStorage } from '@dragonfly/proto';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { Content, CountingOrigin, waitFor } from '@dragonfly/testkit';
import { PORT, SecuredCluster, START_TIMEOUT_MS, type Job } from './secured-cluster.js';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 120_000;

interface PeerOfTask {
  readonly hostname: string;
}

describe('the manager of a cluster with mTLS', () => {
  let cluster: SecuredCluster;
  let origin: CountingOrigin;

  beforeAll(async () => {
    origin = await CountingOrigin.start();
    cluster = await SecuredCluster.start({ daemons: ['seed-peer', 'peer', 'peer-2'] });
  }, 5 * START_TIMEOUT_MS);

  afterAll(async () => {
    await cluster.stop();
    await origin.close();
  }, TEST_TIMEOUT_MS);

  async function succeeded(body: object): Promise<unknown[]> {
    const job: Job = await cluster.runJob(body);
    expect(job).toMatchObject({ state: 'SUCCESS', result: { job_states: [{ error: '' }] } });
    return job.result?.job_states[0]?.results ?? [];
  }

  async function holders(url: string): Promise<string[]> {
    const [result] = (await succeeded({ type: 'get_task', args: { url } })) as { peers: PeerOfTask[] }[];
    return (result?.peers ?? []).map(({ hostname }) => hostname).sort();
  }

  it(
    'preheats a file on every daemon, finds it there and deletes it everywhere',
    async () => {
      const url = origin.put('/all.bin', new Content(12 * MIB, 5));
      await succeeded({ type: 'preheat', args: { type: 'file', url, scope: 'all_peers' } });
      expect(origin.bodyBytesSent('/all.bin')).toBe(12 * MIB);
      expect(await holders(url)).toEqual(['secured-peer', 'secured-peer-2', 'secured-seed-peer']);
      for (const daemon of ['peer', 'peer-2']) {
        expect((await cluster.download(url, daemon)).report?.traffic).toMatchObject({ source: 0, seed: 0, peers: 0 });
      }
      await succeeded({ type: 'delete_task', args: { url } });
      expect(await holders(url)).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'preheats an image on every daemon',
    async () => {
      const registry = await FakeRegistry.start();
      try {
        registry.putImage(
          'team/app',
          [1, 2].map((fill) => Buffer.alloc(5 * MIB, fill)),
          { tag: 'v1' },
        );
        const url = registry.manifestUrl('team/app', 'v1');
        const args = { type: 'image', url, scope: 'all_peers' };
        const [result] = (await succeeded({ type: 'preheat', args })) as { success_tasks: { hostname: string }[] }[];
        // The config and two layers, on three daemons each.
        expect(result?.success_tasks).toHaveLength(9);
        const { peers } = await cluster.request<{ peers: { cached_layers: unknown[] }[] }>('POST', 'jobs', {
          type: 'get_image_distribution',
          args: { url },
        });
        expect(peers.map((peer) => peer.cached_layers.length)).toEqual([3, 3, 3]);
      } finally {
        await registry.close();
      }
    },
    TEST_TIMEOUT_MS,
  );

  it('knows its peers after a sync', async () => {
    expect(await cluster.request('POST', 'jobs', { type: 'sync_peers' })).toBe('OK');
    const peers = await cluster.request<{ host_name: string; state: string }[]>('GET', 'peers?per_page=100');
    expect(peers.map(({ host_name, state }) => `${host_name} ${state}`).sort()).toEqual([
      'secured-peer active',
      'secured-peer-2 active',
      'secured-seed-peer active',
    ]);
  });

  it(
    'tells daemons of a change at once: a blocked application is refused within seconds',
    async () => {
      const url = origin.put('/blocked.bin', new Content(MIB, 6));
      const [row] = await cluster.request<{ id: number; client_config: object }[]>('GET', 'scheduler-clusters');
      await cluster.request('PATCH', `scheduler-clusters/${row?.id}`, {
        client_config: { ...row?.client_config, block_list: { task: { download: { applications: ['games'] } } } },
      });
      await waitFor(
        async () => {
          const download = await cluster.download(`${url}?n=${Math.random()}`, 'peer', '--application', 'games');
          return download.status !== 0;
        },
        { what: 'the refusal', timeoutMs: 30_000, intervalMs: 300 },
      );
      expect((await cluster.download(url, 'peer', '--application', 'work')).status).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'gives the settings of the object storage to who shows a certificate, and to nobody else',
    async () => {
      const keeper = await CertificateKeeper.start(
        {
          directory: cluster.file('test-certificates'),
          subject: { commonName: 'peer', names: [HOST] },
          managerAddress: `${HOST}:${cluster.port(PORT.grpc)}`,
          joinAddress: `${HOST}:${cluster.port(PORT.join)}`,
          joinToken: await cluster.token('test'),
          log: silentLogger(),
        },
        AbortSignal.timeout(START_TIMEOUT_MS),
      );
      const ask = async (tls?: CertificateKeeper['clientTls']): Promise<unknown> => {
        const client = createGrpcClient(
          extObjectStorage.ObjectStorageServiceClient,
          `${HOST}:${cluster.port(PORT.grpc)}`,
          tls === undefined ? {} : { tls },
        );
        try {
          return await unary(client.getObjectStorage.bind(client), {}, { deadlineMs: 10_000 });
        } finally {
          client.close();
        }
      };
      try {
        expect(await ask(keeper.clientTls)).toMatchObject({ name: 's3', accessKey: 'a', secretKey: 's' });
        await expect(ask()).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining('it may want TLS, or another certificate') as string,
        });
      } finally {
        await keeper.stop();
      }
    },
    TEST_TIMEOUT_MS,
  );
});
