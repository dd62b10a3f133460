import { DfError } from '@dragonfly/errors';
import type { AddressGuard } from './address-guard.js';
import type { OutgoingTls, ResolveHost } from './guarded-agent.js';
import { GuardedHttp } from './guarded-http.js';
import { parseManifestUrl } from './manifest-url.js';
import type { BlobDescriptor, ManifestDescriptor } from './manifest.js';
import { formatPlatform, hostPlatform, parsePlatform, type Platform, platformRank } from './platform.js';
import { RegistrySession } from './registry-session.js';

/** Indexes within indexes. */
const MAX_INDEX_DEPTH = 3;
/** Manifests fetched for one image. */
const MAX_MANIFESTS = 64;
/** Manifests fetched at a time. */
const PARALLEL_MANIFESTS = 4;
const DEFAULT_TIMEOUT_MS = 60_000;

export interface ImageResolverOptions {
  readonly guard: AddressGuard;
  /** For each request to the registry, in ms. @default 60000 */
  readonly requestTimeoutMs?: number;
  /** For tests. @default the system's resolver */
  readonly lookup?: ResolveHost;
}

export interface ResolveImageRequest {
  /** `<scheme>://<host>/v2/<repository>/manifests/<tag or digest>` */
  readonly url: string;
  /**
   * `os/architecture[/variant]`, several of them, or `all`. For each the best suited manifests are taken, as a
   * container engine would.
   * @default linux on the processor of this machine
   */
  readonly platforms?: readonly string[] | 'all';
  /** For the registry; an `authorization` among them is used as it is and nothing else is tried. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: OutgoingTls;
  readonly signal: AbortSignal;
}

/** A blob to fetch, and where. */
export interface ImageBlob extends BlobDescriptor {
  /** `<scheme>://<host>/v2/<repository>/blobs/<digest>` */
  readonly url: string;
}

export interface ResolvedImage {
  /** Configs and layers of every chosen manifest, in order, each once. */
  readonly blobs: readonly ImageBlob[];
  /** What was chosen, e.g. `linux/amd64`; empty when the URL names a manifest and no index. */
  readonly platforms: readonly string[];
  /** What downloads of the blobs need as `authorization` header; undefined when the registry is open. */
  readonly authorization: string | undefined;
}

/** Finds out which blobs an image consists of. */
export class ImageResolver {
  readonly #options: ImageResolverOptions;

  constructor(options: ImageResolverOptions) {
    this.#options = options;
  }

  /**
   * @throws DfError `invalid-argument` (URL, platform, broken manifest), `unauthenticated`, `permission-denied`
   *   (refused address, status 403), `not-found` (status 404, no manifest for the platform), `data-loss` (digest),
   *   `resource-exhausted` (a bound), `unavailable`, `deadline-exceeded`, `cancelled`
   */
  async resolve(request: ResolveImageRequest): Promise<ResolvedImage> {
    const image = parseManifestUrl(request.url);
    const wanted = wantedPlatforms(request.platforms);
    const { guard, lookup } = this.#options;
    const http = new GuardedHttp({
      guard,
      ...(request.tls === undefined ? {} : { tls: request.tls }),
      ...(lookup === undefined ? {} : { lookup }),
    });
    try {
      const session = new RegistrySession({
        http,
        image,
        headers: request.headers ?? {},
        credentials:
          request.username === undefined || request.username === ''
            ? undefined
            : { username: request.username, password: request.password ?? '' },
        requestTimeoutMs: this.#options.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS,
        signal: request.signal,
      });
      const walk = new ManifestWalk(session, wanted);
      const found = await walk.visit(image.reference, undefined, 0);
      const unique = new Map(found.map((blob) => [blob.digest, blob]));
      const blobs = [...unique.values()].map((blob) => ({
        ...blob,
        url: `${image.origin}/v2/${image.repository}/blobs/${blob.digest}`,
      }));
      return { blobs, platforms: [...walk.platforms], authorization: session.authorization };
    } finally {
      await http.close();
    }
  }
}

/** Follows indexes down to manifests and collects what these name. */
class ManifestWalk {
  readonly platforms = new Set<string>();
  readonly #visited = new Set<string>();

  constructor(
    private readonly session: RegistrySession,
    private readonly wanted: readonly Platform[] | 'all',
  ) {}

  /** @returns the blobs of all chosen manifests below this one, in order */
  async visit(reference: string, platform: Platform | undefined, depth: number): Promise<readonly BlobDescriptor[]> {
    if (this.#visited.has(reference)) return [];
    this.#visited.add(reference);
    if (this.#visited.size > MAX_MANIFESTS) {
      throw new DfError('resource-exhausted', `the image has more than ${MAX_MANIFESTS} manifests`);
    }
    const manifest = await this.session.manifest(reference);
    if (manifest.kind === 'image') {
      if (platform !== undefined) this.platforms.add(formatPlatform(platform));
      return manifest.blobs;
    }
    if (depth >= MAX_INDEX_DEPTH) {
      throw new DfError('resource-exhausted', `indexes are nested more than ${MAX_INDEX_DEPTH} deep`);
    }
    const chosen = this.wanted === 'all' ? allImages(manifest.manifests) : suited(manifest.manifests, this.wanted);
    const blobs: BlobDescriptor[] = [];
    for (let first = 0; first < chosen.length; first += PARALLEL_MANIFESTS) {
      const batch = chosen.slice(first, first + PARALLEL_MANIFESTS);
      const found = await Promise.all(batch.map((entry) => this.visit(entry.digest, entry.platform, depth + 1)));
      blobs.push(...found.flat());
    }
    return blobs;
  }
}

function wantedPlatforms(platforms: ResolveImageRequest['platforms']): readonly Platform[] | 'all' {
  if (platforms === 'all') return 'all';
  const texts = (platforms ?? []).filter((text) => text !== '');
  return texts.length === 0 ? [hostPlatform(process.arch)] : texts.map(parsePlatform);
}

/** Everything but attestations, which say `unknown` and hold no image. */
function allImages(entries: readonly ManifestDescriptor[]): readonly ManifestDescriptor[] {
  return entries.filter(({ platform }) => platform?.os !== 'unknown');
}

/** @throws DfError `not-found` for a platform that no entry suits */
function suited(entries: readonly ManifestDescriptor[], wanted: readonly Platform[]): ManifestDescriptor[] {
  const chosen = new Set<ManifestDescriptor>();
  for (const platform of wanted) {
    const ranked = entries.map((entry) => ({
      entry,
      // An entry without a platform, an index of its own for instance, is better than nothing.
      rank: entry.platform === undefined ? Number.MAX_SAFE_INTEGER : platformRank(platform, entry.platform),
    }));
    const best = Math.min(...ranked.map(({ rank }) => rank ?? Infinity));
    if (best === Infinity) {
      const offered = entries.map((entry) => (entry.platform === undefined ? '' : formatPlatform(entry.platform)));
      throw new DfError(
        'not-found',
        `failed to pull image manifest: no matching manifest for platform ${formatPlatform(platform)}; there are ${offered.slice(0, 32).join(', ')}`,
      );
    }
    for (const { entry, rank } of ranked) {
      if (rank === best) chosen.add(entry);
    }
  }
  return [...chosen];
}
