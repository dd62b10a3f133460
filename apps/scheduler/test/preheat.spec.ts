import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfUrl } from '@dragonfly/ids';
import { type DeepPartial, schedulerV2 } from '@dragonfly/proto';
import { digestOf, FakeRegistry } from '@dragonfly/registry/testing';
import { unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { FakeDaemon } from './support/fake-daemon.js';
import { TestCluster } from './support/test-cluster.js';

const LAYERS = ['one', 'two'].map((text) => Buffer.from(text));
const REPO = 'library/alpine';

let cluster: TestCluster;
let seed: FakeDaemon;
let peer: FakeDaemon;
let registry: FakeRegistry;

async function start(allow: string, auth: 'open' | 'bearer' = 'open'): Promise<void> {
  cluster = await TestCluster.start({ changes: { JOB__REGISTRY__ALLOW: allow } });
  seed = await FakeDaemon.start();
  peer = await FakeDaemon.start();
  registry = await FakeRegistry.start({ auth, username: 'ann', password: 'pw' });
  registry.putImage(REPO, LAYERS, { tag: '3' });
  await cluster.host('seed', { type: 1, port: seed.port, downloadPort: seed.port });
  await cluster.host('peer', { port: peer.port, downloadPort: peer.port });
  await waitFor(() => cluster.app.readiness.ready, { what: 'a usable seed' });
}

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
  await seed[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
  await registry.close();
});

const deadline = { deadlineMs: 5_000 };
const preheatImage = (changes: DeepPartial<schedulerV2.PreheatImageRequest> = {}): Promise<unknown> =>
  unary(
    cluster.client.preheatImage.bind(cluster.client),
    schedulerV2.PreheatImageRequest.fromPartial({
      url: registry.manifestUrl(REPO, '3'),
      scope: 'single_seed_peer',
      ...changes,
    }),
    deadline,
  );
const preheatFile = (changes: DeepPartial<schedulerV2.PreheatFileRequest> = {}): Promise<unknown> =>
  unary(
    cluster.client.preheatFile.bind(cluster.client),
    schedulerV2.PreheatFileRequest.fromPartial({
      url: 'http://origin.example/file',
      scope: 'single_seed_peer',
      ...changes,
    }),
    deadline,
  );
const statFile = (changes: DeepPartial<schedulerV2.StatFileRequest> = {}): Promise<schedulerV2.StatFileResponse> =>
  unary(
    cluster.client.statFile.bind(cluster.client),
    schedulerV2.StatFileRequest.fromPartial({ url: 'http://origin.example/file', ...changes }),
    deadline,
  );
const blobUrl = (layer: Buffer): string => `${registry.origin}/v2/${REPO}/blobs/${digestOf(layer)}`;
const taskId = (url: string, tag?: string): string =>
  taskIdOfUrl({
    url,
    filteredQueryParams: [...DEFAULT_FILTERED_QUERY_PARAMS],
    ...(tag === undefined ? {} : { tag }),
  });

describe('PreheatImage', () => {
  it('answers when the image is known, and lets a seed fetch config and layers with what the registry asks for', async () => {
    await start('[loopback]', 'bearer');
    await preheatImage({ username: 'ann', password: 'pw', tag: 'tag', header: { 'x-a': 'b' }, priority: 3 });
    await waitFor(() => seed.downloads.length === 3, { what: 'config and two layers' });
    const layers = seed.downloads.filter(({ url }) => LAYERS.some((layer) => url === blobUrl(layer)));
    expect(layers).toHaveLength(2);
    expect(layers[0]).toMatchObject({
      tag: 'tag',
      priority: 3,
      remoteIp: '127.0.0.1',
      filteredQueryParams: [...DEFAULT_FILTERED_QUERY_PARAMS],
      requestHeader: { 'x-a': 'b', Authorization: 'Bearer a-token-of-the-fake-registry' },
      timeout: { seconds: 3600n },
    });
    expect(peer.downloads).toHaveLength(0);
  });

  it('reaches all peers when asked to', async () => {
    await start('[loopback]');
    await preheatImage({ scope: 'all_peers' });
    await waitFor(() => seed.downloads.length === 3 && peer.downloads.length === 3, { what: 'downloads' });
  });

  it.each([
    [
      'an unknown image',
      { url: 'PLACE/v2/library/none/manifests/1' },
      /failed to pull image manifest: .* answered 404/,
    ],
    ['no manifest URL', { url: 'PLACE/other' }, /parse access url failed/],
    ['a platform that is none', { platform: 'linux' }, /invalid platform format/],
    ['an unknown scope', { scope: 'everywhere' }, /PreheatImageRequest.scope/],
  ])('refuses %s', async (_, changes, message) => {
    await start('[loopback]');
    const url = 'url' in changes ? changes.url?.replace('PLACE', registry.origin) : undefined;
    await expect(preheatImage({ ...changes, ...(url === undefined ? {} : { url }) })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(message),
    });
  });

  it('does not ask a registry at an address that is not allowed', async () => {
    await start('[private]');
    await expect(preheatImage()).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('address 127.0.0.1 is refused: loopback addresses are not allowed'),
    });
    expect(registry.requests).toHaveLength(0);
    const metrics = await cluster.app.core.state.metrics.registry.metrics();
    expect(metrics).toContain('dragonfly_scheduler_preheat_image_failure_total 1\n');
  });
});

it('StatImage lists the layers and who holds which', async () => {
  await start('[loopback]');
  const [first, second] = LAYERS.map(blobUrl);
  seed.held.set(taskId(first ?? ''), true);
  peer.held.set(taskId(first ?? ''), false);
  peer.held.set(taskId(second ?? ''), true);
  const stat = (scope: string): Promise<schedulerV2.StatImageResponse> =>
    unary(
      cluster.client.statImage.bind(cluster.client),
      schedulerV2.StatImageRequest.fromPartial({ url: registry.manifestUrl(REPO, '3'), scope }),
      deadline,
    );
  const { image, peers } = await stat('all_peers');
  expect(image?.layers.map(({ url }) => url).slice(1)).toEqual([first, second]);
  expect(peers.toSorted((a, b) => a.hostname.localeCompare(b.hostname))).toMatchObject([
    {
      hostname: 'peer',
      ip: '127.0.0.1',
      cachedLayers: [
        { url: first, isFinished: false },
        { url: second, isFinished: true },
      ],
    },
    { hostname: 'seed', cachedLayers: [{ url: first, isFinished: true }] },
  ]);
  await expect(stat('all_seed_peers')).resolves.toMatchObject({ peers: [{ hostname: 'seed' }] });
});

describe('PreheatFile', () => {
  beforeEach(() => start('[loopback]'));

  it('keeps the tag, which is a part of the task id', async () => {
    await preheatFile({ tag: 'tag', application: 'app', outputPath: '/out/file' });
    await waitFor(() => seed.downloads.length === 1, { what: 'the download' });
    expect(seed.downloads).toMatchObject([
      { url: 'http://origin.example/file', tag: 'tag', application: 'app', outputPath: '/out/file' },
    ]);
  });

  it('preheats the files of a directory, not its directories', async () => {
    seed.entries = [
      { url: 'http://origin.example/d/a%20b', isDir: false },
      { url: 'http://origin.example/d/sub/', isDir: true },
      { url: 'http://origin.example/d/sub/c', isDir: false },
    ];
    await preheatFile({ url: 'http://origin.example/d/', outputPath: '/out' });
    await waitFor(() => seed.downloads.length === 2, { what: 'the downloads' });
    expect(seed.downloads.map(({ url, outputPath }) => [url, outputPath]).sort()).toEqual([
      ['http://origin.example/d/a%20b', '/out/a b'],
      ['http://origin.example/d/sub/c', '/out/sub/c'],
    ]);
  });

  it('refuses a directory without files', async () => {
    await expect(preheatFile({ url: 'http://origin.example/d/' })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'http://origin.example/d/ holds no file',
    });
  });

  it('does not let a file of a directory out of the output path', async () => {
    seed.entries = [{ url: 'http://origin.example/d/%2e%2e/%2e%2e/etc/passwd', isDir: false }];
    await preheatFile({ url: 'http://origin.example/d/', outputPath: '/out' });
    await waitFor(() => seed.downloads.length === 1, { what: 'the download' });
    expect(seed.downloads[0]?.outputPath).toBeUndefined();
  });
});

it('StatFile says who holds a file, with or without a tag', async () => {
  await start('[loopback]');
  seed.held.set(taskId('http://origin.example/file', 'tag'), true);
  await expect(statFile()).resolves.toEqual({ peers: [] });
  await expect(statFile({ tag: 'tag' })).resolves.toMatchObject({
    peers: [{ hostname: 'seed', cachedFiles: [{ url: 'http://origin.example/file', isFinished: true }] }],
  });
});

it('StatFile does not wait for a host that is gone', async () => {
  await start('[loopback]');
  seed.held.set(taskId('http://origin.example/file'), true);
  await peer[Symbol.asyncDispose]();
  await expect(statFile()).resolves.toMatchObject({ peers: [{ hostname: 'seed' }] });
});
