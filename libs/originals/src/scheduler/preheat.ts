import { DfError } from '@dragonfly/errors';
import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfBlobDigestUrl, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2, dfdaemonV2, durationToMs, schedulerV2 } from '@dragonfly/proto';
import type { ImageResolver } from '@dragonfly/registry';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import type { OriginalFigures } from './figures.js';
import type { HostRow, Resources } from './resources.js';
import { addressOf, type Seeds } from './seeds.js';

const STAT_DEADLINE_MS = 5000;
const RESOLVE_TIMEOUT_MS = 60_000;

type Scoped = Pick<schedulerV2.PreheatFileRequest, 'scope' | 'ips' | 'count' | 'percentage' | 'timeout'>;
type Image = schedulerV2.PreheatImageRequest | schedulerV2.StatImageRequest;

export interface PreheatParts {
  readonly resources: Resources;
  readonly seeds: Seeds;
  readonly figures: OriginalFigures;
  readonly images: ImageResolver;
  /** What daemons are told as the asker. */
  readonly advertiseIp: string;
}

/** The four calls about content on many hosts. Preheats go on in the background, and nobody hears how they end. */
export class Preheats {
  private readonly stopped = new AbortController();

  constructor(private readonly parts: PreheatParts) {}

  stop(): void {
    this.stopped.abort(new DfError('cancelled', 'the scheduler stops'));
  }

  async file(request: schedulerV2.PreheatFileRequest): Promise<void> {
    if (request.url.endsWith('/')) throw new DfError('invalid-argument', 'directories are not listed here');
    // The tag is dropped: that is what the original does.
    this.begin([commonV2.Download.fromPartial({ ...fieldsOf(request), tag: undefined })], request);
  }

  async image(request: schedulerV2.PreheatImageRequest): Promise<void> {
    const layers = await this.layersOf(request);
    this.begin(
      layers.map(({ url, authorization }) =>
        commonV2.Download.fromPartial({
          ...fieldsOf(request),
          url,
          requestHeader: { ...request.header, ...(authorization === undefined ? {} : { authorization }) },
          enableTaskIdBasedBlobDigest: request.enableTaskIdBasedBlobDigest,
        }),
      ),
      request,
    );
  }

  async statFile(request: schedulerV2.StatFileRequest): Promise<schedulerV2.StatFileResponse> {
    const holders = await this.holders(taskIdOf(request, request.url));
    return {
      peers: holders.map(({ host, isFinished }) => ({
        ip: host.ip,
        hostname: host.hostname,
        cachedFiles: [{ url: request.url, isFinished }],
      })),
    };
  }

  async statImage(request: schedulerV2.StatImageRequest): Promise<schedulerV2.StatImageResponse> {
    const layers = await this.layersOf(request);
    const byHost = new Map<string, schedulerV2.PeerImage>();
    for (const { url } of layers) {
      for (const { host, isFinished } of await this.holders(taskIdOf(request, url))) {
        const peer = byHost.get(host.id) ?? { ip: host.ip, hostname: host.hostname, cachedLayers: [] };
        peer.cachedLayers.push({ url, isFinished });
        byHost.set(host.id, peer);
      }
    }
    return schedulerV2.StatImageResponse.fromPartial({
      image: { layers: layers.map(({ url }) => ({ url })) },
      peers: [...byHost.values()],
    });
  }

  private begin(downloads: readonly commonV2.Download[], scoped: Scoped): void {
    const timeoutMs = scoped.timeout === undefined ? this.parts.figures.preheatTimeoutMs : durationToMs(scoped.timeout);
    const signal = AbortSignal.any([this.stopped.signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
    for (const download of downloads) {
      for (const { host } of this.hostsFor(download, scoped)) {
        const asked = { ...download, type: commonV2.TaskType.STANDARD, remoteIp: this.parts.advertiseIp };
        // Whether it worked is seen by asking who holds what.
        this.parts.seeds.download(host, asked, signal).catch(() => undefined);
      }
    }
  }

  private hostsFor(download: commonV2.Download, { scope, ips, count, percentage }: Scoped): readonly HostRow[] {
    const all = [...this.parts.resources.hosts.values()];
    if (scope === 'single_seed_peer') {
      const seed = this.parts.seeds.ownerOf(taskIdOf(download, download.url));
      return seed === undefined ? [] : [seed];
    }
    const inScope = scope === 'all_peers' ? all : all.filter(({ isSeed }) => isSeed);
    if (ips.length > 0) return inScope.filter(({ host }) => ips.includes(host.ip));
    if (count !== undefined) return inScope.slice(0, count);
    if (percentage !== undefined) return inScope.slice(0, Math.max(1, Math.floor((inScope.length * percentage) / 100)));
    return inScope;
  }

  /** @throws DfError invalid-argument for whatever is wrong with the manifest */
  private async layersOf(request: Image): Promise<{ url: string; authorization?: string | undefined }[]> {
    try {
      const { blobs, authorization } = await this.parts.images.resolve({
        url: request.url,
        ...(request.platform ? { platforms: [request.platform] } : {}),
        headers: request.header,
        ...(request.username ? { username: request.username } : {}),
        ...(request.password ? { password: request.password } : {}),
        signal: AbortSignal.any([this.stopped.signal, AbortSignal.timeout(RESOLVE_TIMEOUT_MS)]),
      });
      return blobs.map(({ url }) => ({ url, authorization }));
    } catch (caught) {
      throw new DfError('invalid-argument', DfError.from(caught).message, { cause: caught });
    }
  }

  private async holders(taskId: string): Promise<{ host: commonV2.Host; isFinished: boolean }[]> {
    const found = await Promise.all(
      [...this.parts.resources.hosts.values()].map(async ({ host }) => {
        const client = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, addressOf(host));
        try {
          const stat = await unary<dfdaemonV2.StatLocalTaskRequest, dfdaemonV2.StatLocalTaskResponse>(
            client.statLocalTask.bind(client),
            { taskId, remoteIp: this.parts.advertiseIp },
            { deadlineMs: STAT_DEADLINE_MS },
          );
          return { host, isFinished: stat.finishedAt !== undefined };
        } catch {
          return undefined; // it has none, or is away
        } finally {
          client.close();
        }
      }),
    );
    return found.filter((one) => one !== undefined);
  }
}

function fieldsOf(request: schedulerV2.PreheatFileRequest | schedulerV2.PreheatImageRequest): commonV2.Download {
  return commonV2.Download.fromPartial({
    url: request.url,
    pieceLength: request.pieceLength,
    tag: request.tag,
    application: request.application,
    filteredQueryParams: paramsOf(request),
    requestHeader: request.header,
    timeout: request.timeout,
    ...('objectStorage' in request ? { objectStorage: request.objectStorage, hdfs: request.hdfs } : {}),
  });
}

function paramsOf({ filteredQueryParams }: { filteredQueryParams: string[] }): string[] {
  return filteredQueryParams.length > 0 ? filteredQueryParams : [...DEFAULT_FILTERED_QUERY_PARAMS];
}

function taskIdOf(
  request: Pick<commonV2.Download, 'tag' | 'application' | 'pieceLength' | 'filteredQueryParams'> & {
    enableTaskIdBasedBlobDigest?: boolean;
  },
  url: string,
): string {
  const byDigest = request.enableTaskIdBasedBlobDigest ? taskIdOfBlobDigestUrl(url) : undefined;
  return (
    byDigest ??
    taskIdOfUrl({
      url,
      tag: request.tag,
      application: request.application,
      pieceLengthBytes: request.pieceLength,
      filteredQueryParams: paramsOf(request),
    })
  );
}
