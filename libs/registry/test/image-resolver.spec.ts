import { AddressGuard, ImageResolver, type ResolveImageRequest, type ResolvedImage } from '../src/index.js';
import {
  digestOf,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  FakeRegistry,
  type FakeRegistryOptions,
  OCI_INDEX,
} from '../src/testing/index.js';
import { TEST_CERTIFICATE, TEST_KEY } from '@dragonfly/testkit';

const REPO = 'library/alpine';
const LAYERS = ['one', 'two', 'three'].map((text) => Buffer.from(`layer ${text}`));
const layerDigests = (image: ResolvedImage): string[] =>
  image.blobs.filter(({ kind }) => kind === 'layer').map(({ digest }) => digest);

describe('ImageResolver', () => {
  const resolver = new ImageResolver({ guard: new AddressGuard({ allow: ['loopback'] }), requestTimeoutMs: 5_000 });
  const { signal } = new AbortController();
  let registry: FakeRegistry;

  const start = async (options: FakeRegistryOptions = {}): Promise<void> => {
    registry = await FakeRegistry.start(options);
  };
  const resolve = (reference: string, more: Partial<ResolveImageRequest> = {}): Promise<ResolvedImage> =>
    resolver.resolve({ url: registry.manifestUrl(REPO, reference), platforms: ['linux/amd64'], signal, ...more });

  afterEach(() => registry.close());

  it.each([['OCI'], [DOCKER_MANIFEST]])('lists config and layers of an image manifest (%s)', async (mediaType) => {
    await start();
    registry.putImage(REPO, LAYERS, { tag: '3', ...(mediaType === 'OCI' ? {} : { mediaType }) });
    const image = await resolve('3');
    expect(image.blobs.map(({ kind }) => kind)).toEqual(['config', 'layer', 'layer', 'layer']);
    expect(layerDigests(image)).toEqual(LAYERS.map(digestOf));
    expect(image.blobs[1]).toMatchObject({
      url: `${registry.origin}/v2/${REPO}/blobs/${digestOf(LAYERS[0] ?? Buffer.alloc(0))}`,
      sizeBytes: LAYERS[0]?.length,
    });
    expect(image.authorization).toBeUndefined();
    expect(image.platforms).toEqual([]);
  });

  it('reads a schema 1 manifest', async () => {
    await start();
    const fsLayers = LAYERS.map((layer) => ({ blobSum: digestOf(layer) }));
    const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    registry.putManifest(REPO, JSON.stringify({ schemaVersion: 1, fsLayers }), mediaType, 'old');
    expect(layerDigests(await resolve('old'))).toEqual(LAYERS.map(digestOf));
  });

  it.each([OCI_INDEX, DOCKER_LIST])('chooses the manifest of the platform from %s', async (mediaType) => {
    await start();
    const [amd64, i386, arm64] = LAYERS.map((layer) => registry.putImage(REPO, [layer]));
    if (!amd64 || !i386 || !arm64) throw new Error('three images were put');
    const attestation = registry.putImage(REPO, [Buffer.from('attestation')]);
    registry.putIndex(
      REPO,
      '3',
      [
        { ...i386, platform: { os: 'linux', architecture: '386' } },
        { ...amd64, platform: { os: 'linux', architecture: 'amd64' } },
        { ...arm64, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
        { ...attestation, platform: { os: 'unknown', architecture: 'unknown' } },
      ],
      mediaType,
    );
    const [first, second, third] = LAYERS.map(digestOf);
    await expect(resolve('3')).resolves.toMatchObject({ platforms: ['linux/amd64'] });
    expect(layerDigests(await resolve('3'))).toEqual([first]);
    expect(layerDigests(await resolve('3', { platforms: ['linux/arm64'] }))).toEqual([third]);
    expect(layerDigests(await resolve('3', { platforms: ['linux/amd64', 'linux/arm64'] }))).toEqual([first, third]);
    expect(layerDigests(await resolve('3', { platforms: 'all' }))).toEqual([second, first, third]);
    await expect(resolve('3', { platforms: ['linux/s390x'] })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(
        'no matching manifest for platform linux/s390x; there are linux/386, linux/amd64',
      ),
    });
  });

  it('names a blob that several manifests share once', async () => {
    await start();
    const images = [LAYERS.slice(0, 2), LAYERS.slice(1)].map((layers) => registry.putImage(REPO, layers));
    registry.putIndex(
      REPO,
      '3',
      images.map((image, i) => ({ ...image, platform: { os: 'linux', architecture: i === 0 ? 'amd64' : 'arm64' } })),
    );
    expect(layerDigests(await resolve('3', { platforms: 'all' }))).toEqual(LAYERS.map(digestOf));
  });

  it('follows an index in an index, but not for ever', async () => {
    await start();
    let inner = registry.putImage(REPO, LAYERS);
    const platform = { os: 'linux', architecture: 'amd64' };
    for (const tag of ['d1', 'd2', 'd3', 'd4']) inner = registry.putIndex(REPO, tag, [{ ...inner, platform }]);
    expect(layerDigests(await resolve('d3'))).toHaveLength(3);
    await expect(resolve('d4')).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  it('gets a token from the token server and hands it on', async () => {
    await start({ auth: 'bearer', username: 'ann', password: 'pw' });
    registry.putImage(REPO, LAYERS, { tag: '3' });
    const image = await resolve('3', { username: 'ann', password: 'pw' });
    expect(image.authorization).toBe('Bearer a-token-of-the-fake-registry');
    expect(registry.requests.map(({ path }) => path)).toEqual([
      `/v2/${REPO}/manifests/3`,
      '/token',
      `/v2/${REPO}/manifests/3`,
    ]);
    expect(registry.requests[1]?.query.get('scope')).toBe(`repository:${REPO}:pull`);
    expect(registry.requests[1]?.query.get('account')).toBe('ann');
  });

  it('gets a token for nobody when no user is given', async () => {
    await start({ auth: 'bearer' });
    registry.putImage(REPO, LAYERS, { tag: '3' });
    await expect(resolve('3')).resolves.toMatchObject({ authorization: expect.stringMatching(/^Bearer /) });
    expect(registry.requests[1]?.authorization).toBeUndefined();
  });

  it('signs in by Basic', async () => {
    await start({ auth: 'basic', username: 'ann', password: 'p:w' });
    registry.putImage(REPO, LAYERS, { tag: '3' });
    const expected = `Basic ${Buffer.from('ann:p:w').toString('base64')}`;
    await expect(resolve('3', { username: 'ann', password: 'p:w' })).resolves.toMatchObject({
      authorization: expected,
    });
  });

  it('uses a given authorization as it is', async () => {
    await start({ auth: 'basic', username: 'ann', password: 'pw' });
    registry.putImage(REPO, LAYERS, { tag: '3' });
    const Authorization = `Basic ${Buffer.from('ann:pw').toString('base64')}`;
    await expect(resolve('3', { headers: { Authorization } })).resolves.toMatchObject({ authorization: Authorization });
    expect(registry.requests).toHaveLength(1);
    await expect(resolve('3', { headers: { Authorization: 'Basic eA==' } })).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'failed to authenticate with registry: the credentials were refused',
    });
  });

  it.each([
    ['a wrong password', { auth: 'bearer', username: 'ann', password: 'pw' }, { username: 'ann', password: 'no' }],
    ['no password', { auth: 'basic', username: 'ann', password: 'pw' }, {}],
  ] as const)('says that signing in failed with %s', async (_, options, more) => {
    await start(options);
    await expect(resolve('3', more)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.stringMatching(/^failed to authenticate with registry: /),
    });
  });

  it('does not send a password in clear to the token server of an https registry', async () => {
    await start({ tls: { cert: TEST_CERTIFICATE, key: TEST_KEY } });
    registry.override(`/v2/${REPO}/manifests/3`, (response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/token"' }).end();
    });
    await expect(
      resolve('3', { username: 'ann', password: 'pw', tls: { caCertificates: [TEST_CERTIFICATE] } }),
    ).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('refuses a token server at an address that is not allowed', async () => {
    await start();
    registry.override(`/v2/${REPO}/manifests/3`, (response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://169.254.169.254/token"' }).end();
    });
    await expect(resolve('3')).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('refuses a manifest that does not have its digest', async () => {
    await start();
    const { digest } = registry.putImage(REPO, LAYERS, { tag: '3' });
    await expect(resolve(digest)).resolves.toMatchObject({ blobs: { length: 4 } });
    registry.override(`/v2/${REPO}/manifests/${digest}`, (response) => response.writeHead(200).end('{"layers":[]}'));
    await expect(resolve(digest)).rejects.toMatchObject({ code: 'data-loss' });
  });

  it.each([
    [404, 'not-found'],
    [403, 'permission-denied'],
    [429, 'resource-exhausted'],
    [500, 'unavailable'],
  ])('tells status %d as %s', async (status, code) => {
    await start();
    registry.override(`/v2/${REPO}/manifests/3`, (response) => response.writeHead(status).end());
    await expect(resolve('3')).rejects.toMatchObject({
      code,
      message: `failed to pull image manifest: ${registry.manifestUrl(REPO, '3')} answered ${status}`,
    });
  });

  it.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['nothing of an image', '{"schemaVersion":2}'],
    ['a layer without digest', '{"layers":[{"size":1}]}'],
    ['a digest that leaves the path', '{"layers":[{"digest":"sha256:../../etc"}]}'],
    ['endless layers', JSON.stringify({ layers: Array(3_000).fill({ digest: `sha256:${'a'.repeat(64)}` }) })],
    ['manifests that are no list', '{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":{}}'],
  ])('refuses %s as a manifest', async (_, text) => {
    await start();
    registry.putManifest(REPO, text, 'application/json', '3');
    await expect(resolve('3')).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^failed to pull image manifest: /),
    });
  });

  it.each([
    'http://h/v2/Repo/manifests/3',
    'http://h/v2//manifests/3',
    'http://h/v2/a/blobs/sha256:aa',
    'http://user:pw@h/v2/a/manifests/3',
    'http://h/a/manifests/3',
  ])('refuses the URL %s', async (url) => {
    await start();
    await expect(resolver.resolve({ url, signal })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
