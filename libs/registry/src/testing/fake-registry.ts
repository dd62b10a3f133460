import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface FakeRegistryOptions {
  /** What a request must show. @default open */
  readonly auth?: 'open' | 'basic' | 'bearer';
  readonly username?: string;
  readonly password?: string;
  /** PEM; makes it an https server. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface FakeRegistryRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
}

/** What a manifest to be put into an index says about itself. */
export interface FakeManifest {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

interface Stored {
  readonly mediaType: string;
  readonly body: Buffer;
}

type Override = (response: ServerResponse, request: IncomingMessage) => void;

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const TOKEN = 'a-token-of-the-fake-registry';

/** An image registry on 127.0.0.1 with a token server of its own, for tests. Blobs are served with ranges. */
export class FakeRegistry {
  readonly requests: FakeRegistryRequest[] = [];
  readonly #manifests = new Map<string, Stored>();
  readonly #blobs = new Map<string, Buffer>();
  readonly #overrides = new Map<string, Override>();

  private constructor(
    private readonly server: Server,
    private readonly options: FakeRegistryOptions,
  ) {}

  static async start(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
    const serve: RequestListener = (request, response) => {
      registry.serve(request, response);
    };
    const server = options.tls === undefined ? createServer(serve) : createTlsServer(options.tls, serve);
    const registry = new FakeRegistry(server, options);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return registry;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `${this.options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  manifestUrl(repository: string, reference: string): string {
    return `${this.origin}/v2/${repository}/manifests/${reference}`;
  }

  /** Stores an image manifest under its digest and, if given, a tag. */
  putImage(repository: string, layers: readonly Buffer[], o: { tag?: string; mediaType?: string } = {}): FakeManifest {
    const mediaType = o.mediaType ?? OCI_MANIFEST;
    const config = this.#putBlob(repository, Buffer.from(JSON.stringify({ layers: layers.length })));
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map((layer) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        ...this.#putBlob(repository, layer),
      })),
    });
    return this.putManifest(repository, body, mediaType, o.tag);
  }

  /** Stores an index of manifests. */
  putIndex(
    repository: string,
    tag: string,
    entries: readonly (FakeManifest & { readonly platform?: Readonly<Record<string, string>> })[],
    mediaType = OCI_INDEX,
  ): FakeManifest {
    const manifests = entries.map(({ digest, sizeBytes, mediaType: type, platform }) => ({
      mediaType: type,
      digest,
      size: sizeBytes,
      ...(platform === undefined ? {} : { platform }),
    }));
    return this.putManifest(repository, JSON.stringify({ schemaVersion: 2, mediaType, manifests }), mediaType, tag);
  }

  /** Stores any text as a manifest. */
  putManifest(repository: string, text: string, mediaType: string, tag?: string): FakeManifest {
    const body = Buffer.from(text);
    const digest = digestOf(body);
    this.#manifests.set(`${repository}@${digest}`, { mediaType, body });
    if (tag !== undefined) this.#manifests.set(`${repository}@${tag}`, { mediaType, body });
    return { digest, sizeBytes: body.length, mediaType };
  }

  /** Answers requests to this path in another way, e.g. with a redirect. */
  override(path: string, answer: Override): void {
    this.#overrides.set(path, answer);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #putBlob(repository: string, content: Buffer): { digest: string; size: number } {
    const digest = digestOf(content);
    this.#blobs.set(`${repository}@${digest}`, content);
    return { digest, size: content.length };
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.origin);
    const { authorization } = request.headers;
    this.requests.push({ method: request.method ?? '', path: url.pathname, query: url.searchParams, authorization });
    const override = this.#overrides.get(url.pathname);
    if (override !== undefined) override(response, request);
    else if (url.pathname === '/token') this.#token(response, url, authorization);
    else if (!this.#isLetIn(authorization)) this.#challenge(response, url);
    else this.#content(request, response, url);
  }

  #content(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const [, repository = '', kind = '', reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    const manifest = kind === 'manifests' ? this.#manifests.get(`${repository}@${reference}`) : undefined;
    const blob = kind === 'blobs' ? this.#blobs.get(`${repository}@${reference}`) : undefined;
    if (manifest !== undefined) {
      response.writeHead(200, { 'content-type': manifest.mediaType, 'content-length': manifest.body.length });
      response.end(manifest.body);
    } else if (blob !== undefined) {
      sendBlob(request, response, blob);
    } else {
      response.writeHead(url.pathname === '/v2/' ? 200 : 404, { 'content-type': 'application/json' }).end('{}');
    }
  }

  #isLetIn(authorization: string | undefined): boolean {
    const { auth = 'open' } = this.options;
    if (auth === 'open') return true;
    return authorization === (auth === 'basic' ? this.#basic() : `Bearer ${TOKEN}`);
  }

  #challenge(response: ServerResponse, url: URL): void {
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1] ?? '';
    const header =
      this.options.auth === 'basic'
        ? 'Basic realm="fake"'
        : `Bearer realm="${this.origin}/token",service="fake",scope="repository:${repository}:pull"`;
    response.writeHead(401, { 'www-authenticate': header }).end();
  }

  #token(response: ServerResponse, url: URL, authorization: string | undefined): void {
    const isKnown = this.options.username === undefined || authorization === this.#basic();
    const isAsked = url.searchParams.get('service') === 'fake' && url.searchParams.get('scope') !== null;
    response.writeHead(isKnown && isAsked ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown && isAsked ? { token: TOKEN, expires_in: 300 } : { errors: [] }));
  }

  #basic(): string {
    const { username = '', password = '' } = this.options;
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
}

function sendBlob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) {
    response.writeHead(200, { 'content-length': blob.length, 'accept-ranges': 'bytes' });
    response.end(request.method === 'HEAD' ? undefined : blob);
    return;
  }
  const part = blob.subarray(Number(from), to === undefined || to === '' ? blob.length : Number(to) + 1);
  response.writeHead(206, {
    'content-length': part.length,
    'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${blob.length}`,
  });
  response.end(request.method === 'HEAD' ? undefined : part);
}

/** The digest of a blob or manifest. */
export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
