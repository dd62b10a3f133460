import type { AddressGuard } from './address-guard.js';
import { GuardedHttp } from './guarded-http.js';
import { parseManifestUrl } from './manifest-url.js';
import { RegistrySession } from './registry-session.js';

const DEFAULT_TIMEOUT_MS = 60_000;

export interface ReadTagsRequest {
  /** `<scheme>://<host>/v2/<repository>` */
  readonly url: string;
  /** Which tags are asked for their digests. */
  readonly select: (tag: string) => boolean;
  /** More are left out. */
  readonly maxTags: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly username?: string;
  readonly password?: string;
  readonly signal: AbortSignal;
}

/** Finds out which tags a repository has, and what they name. */
export class TagReader {
  constructor(private readonly guard: AddressGuard) {}

  /**
   * @returns digest of the manifest by tag, in the registry's order
   * @throws DfError as `ImageResolver.resolve`
   */
  async read(request: ReadTagsRequest): Promise<Map<string, string>> {
    const image = parseManifestUrl(`${request.url.replace(/\/+$/, '')}/manifests/latest`);
    const http = new GuardedHttp({ guard: this.guard });
    try {
      const { username, password = '' } = request;
      const session = new RegistrySession({
        http,
        image,
        headers: request.headers ?? {},
        credentials: username ? { username, password } : undefined,
        requestTimeoutMs: DEFAULT_TIMEOUT_MS,
        signal: request.signal,
      });
      const found = new Map<string, string>();
      const tags = (await session.tags()).filter(request.select);
      // The last ones: registries list in the order of names, and later versions tend to come later.
      for (const tag of tags.slice(-request.maxTags)) {
        found.set(tag, await session.digest(tag));
      }
      return found;
    } finally {
      await http.close();
    }
  }
}
