import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ObjectStore, openObjectStore } from '../src/index.js';

/** The part of both protocols that is about buckets; it knows one access key and keeps names in memory. */
class FakeStore {
  readonly buckets = new Set<string>();
  readonly filled = new Set<string>();
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      const [status, body] = this.answer(request);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(body);
    });
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private answer(request: IncomingMessage): [number, string] {
    const { authorization = '' } = request.headers;
    // S3: AWS4-HMAC-SHA256 Credential=good/…; OSS: OSS good:signature.
    if (!/(Credential=good\/|^OSS good:)/.test(authorization)) return failure(403, 'InvalidAccessKeyId');
    const name = new URL(request.url ?? '/', 'http://x').pathname.slice(1).replace(/\/$/, '') || hostBucket(request);
    if (name === '') return [200, listOf(this.buckets)];
    if (request.method === 'PUT') {
      if (this.buckets.has(name)) return failure(409, 'BucketAlreadyExists');
      this.buckets.add(name);
      return [200, ''];
    }
    if (!this.buckets.has(name)) return failure(404, 'NoSuchBucket');
    if (this.filled.has(name)) return failure(409, 'BucketNotEmpty');
    this.buckets.delete(name);
    return [204, ''];
  }
}

/** The OSS SDK puts the bucket before the host name unless the host is an address. */
function hostBucket(request: IncomingMessage): string {
  const [label = ''] = (request.headers.host ?? '').split('.');
  return /^\d/.test(label) || label.startsWith('127') ? '' : label;
}

function failure(status: number, code: string): [number, string] {
  return [status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} here</Message></Error>`];
}

function listOf(names: Iterable<string>): string {
  const entries = [...names]
    .map((name) => `<Bucket><Name>${name}</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket>`)
    .join('');
  return `<?xml version="1.0"?><ListAllMyBucketsResult><Owner><ID>1</ID><DisplayName>x</DisplayName></Owner><Buckets>${entries}</Buckets></ListAllMyBucketsResult>`;
}

describe.each(['s3', 'obs', 'oss'] as const)('a store of kind %s', (name) => {
  const fake = new FakeStore();
  let store: ObjectStore;

  const open = (accessKey = 'good'): Promise<ObjectStore> =>
    openObjectStore({
      name,
      region: '',
      endpoint: fake.endpoint,
      accessKey,
      secretKey: 'hush',
      s3ForcePathStyle: true,
    });

  beforeAll(() => fake.start());
  afterAll(() => fake.stop());
  beforeEach(async () => {
    store = await open();
    fake.buckets.clear();
    fake.filled.clear();
  });
  afterEach(() => store.close());

  it('makes, lists and deletes buckets', async () => {
    await store.createBucket('models');
    await store.createBucket('images');
    const listed = await store.listBuckets();
    expect(listed.map((bucket) => bucket.name).sort()).toEqual(['images', 'models']);
    expect(listed[0]?.createdAt).toEqual(new Date('2026-01-02T03:04:05Z'));
    await store.deleteBucket('models');
    expect([...fake.buckets]).toEqual(['images']);
    await store.deleteBucket('images');
    await expect(store.listBuckets()).resolves.toEqual([]);
  });

  it('tells by the code of the error what is wrong', async () => {
    await store.createBucket('models');
    await expect(store.createBucket('models')).rejects.toMatchObject({ code: 'already-exists' });
    await expect(store.deleteBucket('other')).rejects.toMatchObject({ code: 'not-found' });
    fake.filled.add('models');
    await expect(store.deleteBucket('models')).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  it('does not put credentials into errors', async () => {
    const stranger = await open('bad');
    const error = await stranger.listBuckets().catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: 'permission-denied' });
    expect(JSON.stringify([error, (error as Error).cause, (error as Error).message])).not.toMatch(/hush|"bad"/);
    await stranger.close();
  });

  it('is unavailable when nobody listens', async () => {
    const gone = await openObjectStore({
      name,
      region: '',
      endpoint: 'http://127.0.0.1:1',
      accessKey: 'good',
      secretKey: 'hush',
      s3ForcePathStyle: true,
    });
    await expect(gone.listBuckets()).rejects.toMatchObject({ code: 'unavailable' });
    await gone.close();
  });
});
