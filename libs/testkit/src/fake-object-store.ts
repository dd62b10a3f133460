import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/**
 * The part of the S3 and OSS protocols that is about buckets, over HTTP. It keeps names in memory and knows one access
 * key, `good`; signatures are not checked.
 */
export class FakeObjectStore {
  /** Names of the buckets that there are. */
  readonly buckets = new Set<string>();
  /** Those that are not empty. */
  readonly filled = new Set<string>();
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      const [status, body] = this.answer(request);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(body);
    });
  }

  static async start(): Promise<FakeObjectStore> {
    const store = new FakeObjectStore();
    store.server.listen(0, '127.0.0.1');
    await once(store.server, 'listening');
    return store;
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
