import { DfError } from '@dragonfly/errors';
import type { PeerId } from '@dragonfly/ids';
import { commonV2, type DeepPartial, dfdaemonV2 } from '@dragonfly/proto';
import { type ClientTls, createGrpcClient, readStream, SharedClients } from '@dragonfly/rpc';
import type { SeedGateway, SeedTrigger, SeedTriggerRequest, SeedTriggerResult } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { timeLimit } from '../jobs/time-limit.js';
import type { SeedDirectory } from './seed-directory.js';
import { SeedLifeWatch } from './seed-life-watch.js';
import type { SeedProbe } from './seed-probe.js';

/** Answers that mean "not this seed"; everything else is what the seed thinks of the task. */
const UNREACHABLE: ReadonlySet<DfError['code']> = new Set([
  'unavailable',
  'unimplemented',
  'resource-exhausted',
  'unauthenticated',
]);

export interface GrpcSeedGatewayOptions {
  readonly directory: SeedDirectory;
  /** Tells whether a seed that says nothing lives. */
  readonly probe: SeedProbe;
  /** What peers with an open stream asked for. */
  readonly downloads: ReadonlyMap<PeerId, commonV2.Download>;
  readonly tls: ClientTls | undefined;
  /** Longest time one trigger may take. */
  readonly taskDownloadTimeoutMs: number;
  readonly log: Logger;
}

/** Asks seeds by `dfdaemon.v2.DfdaemonUpload/DownloadTask`, as the original scheduler does. */
export class GrpcSeedGateway implements SeedGateway {
  readonly #running = new Set<AbortController>();
  /** A trigger must not wait for a connection when the last one left one behind. */
  readonly #clients: SharedClients<dfdaemonV2.DfdaemonUploadClient>;

  constructor(private readonly options: GrpcSeedGatewayOptions) {
    const { tls } = options;
    this.#clients = new SharedClients((address) =>
      createGrpcClient(dfdaemonV2.DfdaemonUploadClient, address, tls === undefined ? {} : { tls }),
    );
  }

  trigger(request: SeedTriggerRequest): SeedTrigger | undefined {
    const { directory, downloads, log } = this.options;
    const download = downloads.get(request.requester.id);
    const seed = directory.ownerOf(request.task.id, request.excludedHostIds);
    if (download === undefined || seed === undefined) return undefined;
    const trigger: SeedTrigger = { hostId: seed.host.id, isOpen: true };
    log.info({ taskId: request.task.id, seed: seed.host.id }, 'seed peer is triggered');
    void this.#run(seed.address, downloadForSeed(download), request).then((result) => {
      if (result === 'unreachable') directory.unreachable(seed.host.id);
      request.onEnd(result);
    });
    return trigger;
  }

  close(): void {
    for (const controller of this.#running) controller.abort();
    this.#clients.close();
  }

  async #run(address: string, download: commonV2.Download, request: SeedTriggerRequest): Promise<SeedTriggerResult> {
    const { taskDownloadTimeoutMs, log, probe } = this.options;
    const controller = new AbortController();
    this.#running.add(controller);
    const dead = new AbortController();
    const watch = new SeedLifeWatch(probe, address, () => {
      dead.abort(new DfError('unavailable', 'the seed peer gives no sign of life'));
    });
    const shared = this.#clients.acquire(address);
    const { client } = shared;
    let isBroken = true;
    try {
      const call =
        request.task.kind === 'cache'
          ? client.downloadCacheTask(cacheDownload(download))
          : client.downloadTask({ download });
      const timeout = timeLimit(taskDownloadTimeoutMs);
      const signal = AbortSignal.any([controller.signal, dead.signal, timeout]);
      for await (const _message of readStream<unknown>(call, { signal })) {
        watch.heard();
        request.onSignOfLife();
      }
      isBroken = false;
      return 'finished';
    } catch (caught) {
      const error = DfError.from(caught);
      if (!controller.signal.aborted) {
        log.warn(
          { reason: error.message, code: error.code, taskId: request.task.id, seed: address },
          'seed peer could not fetch a task',
        );
      }
      // A seed that does not know cache tasks is there for all others.
      if (request.task.kind === 'cache' && error.code === 'unimplemented') return 'failed';
      return UNREACHABLE.has(error.code) ? 'unreachable' : 'failed';
    } finally {
      watch.stop();
      this.#running.delete(controller);
      // After any failure the next trigger looks for itself whether the seed is there.
      shared.release(isBroken);
    }
  }
}

/** The same of a cache task: its request has the fields of a download, one level up. */
function cacheDownload(download: commonV2.Download): dfdaemonV2.DownloadCacheTaskRequest {
  const fields: DeepPartial<dfdaemonV2.DownloadCacheTaskRequest> = download;
  return dfdaemonV2.DownloadCacheTaskRequest.fromPartial(fields);
}

/**
 * What a seed is asked for: the requester's download, from the source, without an output file and without
 * the bytes in its answers. The scheduling policy
 * keeps seeds of 1.5.10 from fetching small files past the scheduler.
 */
export function downloadForSeed(download: commonV2.Download): commonV2.Download {
  return {
    ...download,
    outputPath: undefined,
    needPieceContent: false,
    needBackToSource: true,
    disableBackToSource: false,
    schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
  };
}
