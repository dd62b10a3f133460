import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import type { commonV2, DeepPartial, dfdaemonV2, schedulerV2 } from '@dragonfly/proto';
import { type AddressGuard, ImageResolver, pemOfDer, type ResolvedImage } from '@dragonfly/registry';
import type { Host } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { forEachBounded, type Slots } from '../jobs/bounded.js';
import type { Daemons } from '../jobs/daemons.js';
import type { JobRunner } from '../jobs/job-runner.js';
import { DEFAULT_CONCURRENT_PEER_COUNT, MAX_DOWNLOADS } from '../jobs/job-spec.js';
import type { SeedChoice } from '../jobs/seed-choice.js';
import { taskIdOfDownload } from '../jobs/task-ids.js';
import { timeLimit } from '../jobs/time-limit.js';
import { counted } from '../metrics/call-counters.js';
import type { SchedulerMetrics } from '../metrics.js';
import { downloadOf, downloadsOfImage, preheatSpecOf, timeoutOf } from './preheat-requests.js';

export interface PreheatServiceOptions {
  readonly runner: JobRunner;
  readonly daemons: Daemons;
  readonly seeds: SeedChoice;
  readonly hosts: () => Iterable<Host>;
  /** Calls to daemons under way, jobs included. */
  readonly calls: Slots;
  readonly guard: AddressGuard;
  readonly metrics: Pick<SchedulerMetrics, 'preheatImage' | 'preheatFile' | 'statImage' | 'statFile'>;
  readonly log: Logger;
}

/** What a host holds of some URLs. */
interface HeldByHost {
  readonly host: Host;
  readonly held: readonly { readonly url: string; readonly isFinished: boolean }[];
}

/** PreheatImage, PreheatFile, StatImage and StatFile of scheduler.v2. */
export class PreheatService {
  readonly #images: ImageResolver;

  constructor(private readonly options: PreheatServiceOptions) {
    this.#images = new ImageResolver({ guard: options.guard });
  }

  /**
   * Resolves the image, then preheats in the background.
   * @throws DfError `invalid-argument` when the manifest cannot be had, whatever the reason
   */
  preheatImage(request: schedulerV2.PreheatImageRequest, signal: AbortSignal): Promise<void> {
    return counted(this.options.metrics.preheatImage, async () => {
      const image = await this.#resolve(request, signal);
      this.#start(request, downloadsOfImage(image.blobs, image.authorization, request));
    });
  }

  /**
   * Preheats one URL, or all files of a directory (a URL that ends in a slash), in the background.
   * @throws DfError `invalid-argument` when the directory cannot be listed or holds no file
   */
  preheatFile(request: schedulerV2.PreheatFileRequest, signal: AbortSignal): Promise<void> {
    return counted(this.options.metrics.preheatFile, async () => {
      const { objectStorage, hdfs, outputPath } = request;
      const urls = await this.#filesOf(request, signal);
      const isDirectory = request.url.endsWith('/');
      this.#start(
        request,
        urls.map((url) =>
          downloadOf(url, request, {
            objectStorage,
            hdfs,
            outputPath: isDirectory ? outputPathOf(outputPath, request.url, url) : outputPath,
          }),
        ),
      );
    });
  }

  /** @throws DfError `invalid-argument` when the manifest cannot be had */
  statImage(
    request: schedulerV2.StatImageRequest,
    signal: AbortSignal,
  ): Promise<DeepPartial<schedulerV2.StatImageResponse>> {
    return counted(this.options.metrics.statImage, async () => {
      const image = await this.#resolve(request, signal);
      const downloads = downloadsOfImage(image.blobs, image.authorization, request);
      const onlySeeds = request.scope === 'all_seed_peers';
      const holders = await this.#stat(downloads, request, onlySeeds, signal);
      return {
        image: { layers: image.blobs.map(({ url }) => ({ url })) },
        peers: holders.map(({ host, held }) => ({ ...nameOf(host), cachedLayers: [...held] })),
      };
    });
  }

  /** @throws DfError `invalid-argument` when the directory cannot be listed */
  statFile(
    request: schedulerV2.StatFileRequest,
    signal: AbortSignal,
  ): Promise<DeepPartial<schedulerV2.StatFileResponse>> {
    return counted(this.options.metrics.statFile, async () => {
      const urls = await this.#filesOf(request, signal);
      const downloads = urls.map((url) => downloadOf(url, request));
      const holders = await this.#stat(downloads, request, false, signal);
      return { peers: holders.map(({ host, held }) => ({ ...nameOf(host), cachedFiles: [...held] })) };
    });
  }

  #start(
    request: schedulerV2.PreheatImageRequest | schedulerV2.PreheatFileRequest,
    downloads: readonly commonV2.Download[],
  ): void {
    for (const download of downloads) taskIdOfDownload(download);
    this.options.runner.start(`preheat-${randomUUID()}`, preheatSpecOf(request, downloads), timeoutOf(request));
  }

  async #resolve(
    request: schedulerV2.PreheatImageRequest | schedulerV2.StatImageRequest,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const { url, platform, header, username, password, certificateChain, insecureSkipVerify } = request;
    try {
      return await this.#images.resolve({
        url,
        headers: header,
        tls: { caCertificates: pemOfDer(certificateChain), insecureSkipVerify },
        signal,
        ...(platform === undefined ? {} : { platforms: [platform] }),
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
      });
    } catch (error) {
      const { code, message } = DfError.from(error);
      if (code === 'cancelled') throw error;
      throw new DfError('invalid-argument', message, { cause: error });
    }
  }

  /** The URL itself, or the files of the directory it names. */
  async #filesOf(
    request: schedulerV2.PreheatFileRequest | schedulerV2.StatFileRequest,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { url } = request;
    if (!url.endsWith('/')) return [url];
    const taskId = taskIdOfDownload(downloadOf(url, request));
    const seed = this.options.seeds.ownerOf(taskId, new Set());
    if (seed === undefined) throw new DfError('failed-precondition', 'no seed peer is there to list the directory');
    let entries: readonly dfdaemonV2.Entry[];
    try {
      entries = await this.options.daemons.list(seed, listRequest(taskId, request), signal);
    } catch (error) {
      const { message } = DfError.from(error);
      throw new DfError('invalid-argument', `${url} cannot be listed: ${message}`, { cause: error });
    }
    const files = entries.filter(({ isDir }) => !isDir).map((entry) => entry.url);
    if (files.length === 0) throw new DfError('invalid-argument', `${url} holds no file`);
    if (files.length > MAX_DOWNLOADS) {
      throw new DfError('invalid-argument', `${url} holds ${files.length} files, at most ${MAX_DOWNLOADS} are taken`);
    }
    return files;
  }

  /** Asks every known host; those that hold nothing, or do not answer, are left out. */
  async #stat(
    downloads: readonly commonV2.Download[],
    request: schedulerV2.StatImageRequest | schedulerV2.StatFileRequest,
    onlySeeds: boolean,
    callSignal: AbortSignal,
  ): Promise<readonly HeldByHost[]> {
    const { daemons, calls, log } = this.options;
    const signal = AbortSignal.any([callSignal, timeLimit(timeoutOf(request))]);
    const urls = new Map(downloads.map((download) => [taskIdOfDownload(download), download.url]));
    const hosts = [...this.options.hosts()].filter(({ facts }) => !onlySeeds || facts.isSeed);
    const holders: HeldByHost[] = [];
    const limit = Number(request.concurrentPeerCount ?? DEFAULT_CONCURRENT_PEER_COUNT);
    await forEachBounded(hosts, limit, signal, (host) =>
      calls.run(async () => {
        const held: { url: string; isFinished: boolean }[] = [];
        try {
          await daemons.stat(host, [...urls.keys()], signal, (taskId, answer) => {
            const url = urls.get(taskId);
            if (url !== undefined && !Error.isError(answer)) {
              held.push({ url, isFinished: answer.finishedAt !== undefined });
            }
          });
        } catch (error) {
          log.debug({ err: error, hostId: host.id }, 'host could not be asked about tasks');
        }
        if (held.length > 0) holders.push({ host, held });
      }),
    );
    if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
    return holders;
  }
}

function listRequest(
  taskId: string,
  request: schedulerV2.PreheatFileRequest | schedulerV2.StatFileRequest,
): Omit<dfdaemonV2.ListTaskEntriesRequest, 'remoteIp'> {
  const { url, header, timeout, certificateChain, objectStorage, hdfs } = request;
  return { taskId, url, requestHeader: header, timeout, certificateChain, objectStorage, hdfs };
}

/** Where a file of a directory goes: the same way below the output path as below the URL. */
function outputPathOf(base: string | undefined, directoryUrl: string, fileUrl: string): string | undefined {
  if (base === undefined || base === '' || !fileUrl.startsWith(directoryUrl)) return undefined;
  const relative = decoded(fileUrl.slice(directoryUrl.length).split('?')[0] ?? '');
  const isInside = relative?.split('/').every((part) => part !== '' && part !== '.' && part !== '..') === true;
  return isInside ? `${base.replace(/\/$/, '')}/${relative}` : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // A broken escape names no file.
  }
}

function nameOf(host: Host): { ip: string; hostname: string } {
  return { ip: host.facts.ip, hostname: host.facts.hostname };
}
