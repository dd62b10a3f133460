import { DfError } from '@dragonfly/errors';
import {
  MAX_PROGRESS_PER_SECOND,
  type DoneMessage,
  type LightDownloadRequest,
  type LightHandler,
  type LightTraffic,
  type ProgressMessage,
  type StartedMessage,
} from '@dragonfly/light';
import type { Logger } from '@dragonfly/telemetry';
import { withSpan } from '@dragonfly/telemetry/spans';
import type { DownloadManager } from '../download/download-manager.js';
import { deliver } from '../download/delivery.js';
import { requestOfLight } from '../download/download-request.js';
import { isContentGone, type OutputRequest, type OutputWriter } from '../download/output.js';
import type { DownloadObserver, DownloadResult } from '../download/task-run.js';
import { refuseBlocked } from '../download-service/download-service.js';
import { noTraffic, type Traffic } from '../download/traffic.js';
import type { BlockList } from '../dynconfig/block-list.js';
import type { HostIdentity } from '../host/identity.js';

export interface LightServiceOptions {
  readonly version: string;
  readonly pid: number;
  readonly identity: HostIdentity;
  readonly downloads: DownloadManager;
  readonly outputs: OutputWriter;
  readonly blockList: () => BlockList;
  readonly log: Logger;
  /** Whether this process may give files to other owners. */
  readonly mayChangeOwner: boolean;
}

/** The daemon's side of the light protocol of dfget. */
export class LightService implements LightHandler {
  constructor(private readonly options: LightServiceOptions) {}

  hello(): ReturnType<LightHandler['hello']> {
    const { version, pid, identity } = this.options;
    return { version, pid, host: { ip: identity.ip, hostname: identity.hostname } };
  }

  download(
    light: LightDownloadRequest,
    emit: (message: StartedMessage | ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<DoneMessage> {
    // Without a trace from dfget a new one begins.
    const parent = light.trace ?? {};
    return withSpan('download_task', { kind: 'server', parent }, () => this.serve(light, emit, signal));
  }

  private async serve(
    light: LightDownloadRequest,
    emit: (message: StartedMessage | ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<DoneMessage> {
    const { downloads, outputs, identity } = this.options;
    const request = requestOfLight(light);
    refuseBlocked(this.options.blockList(), request.download);
    const output = this.outputOf(light);
    await outputs.check(output, light.digest);
    const traffic = noTraffic();
    let contentLength: number | null = null;
    const progress = atMostEvery(1000 / MAX_PROGRESS_PER_SECOND, () => {
      emit({
        type: 'progress',
        completedLength: sum(traffic),
        contentLength,
        ...lightTraffic(traffic),
      });
    });
    const observer: DownloadObserver = {
      started: ({ task, peerId, range }) => {
        contentLength = range?.length ?? task.contentLengthBytes ?? null;
        emit({ type: 'started', taskId: task.id, peerId, contentLength, hostIp: identity.ip });
      },
      piece: (record, origin) => {
        traffic[origin] += record.lengthBytes;
        progress.touch();
      },
    };
    const again = (): DownloadObserver => {
      Object.assign(traffic, noTraffic());
      return { piece: (record, origin) => observer.piece?.(record, origin) };
    };
    const fetch = async (): Promise<[DownloadResult, DoneMessage['outcome']]> => {
      const result = await downloads.download(request, observer, signal);
      return deliver(result, { request, digest: light.digest, output, again }, this.options, signal);
    };
    try {
      const [result, outcome] = await fetch().catch((error: unknown) => {
        // Somebody tidied the store up behind the daemon's back: it has just forgotten the task.
        if (isContentGone(error)) return fetch();
        throw error;
      });
      const { task, range } = result;
      return {
        type: 'done',
        outcome,
        contentLength: range?.length ?? task.contentLengthBytes ?? 0,
        taskId: task.id,
        traffic: lightTraffic(result.traffic),
      };
    } finally {
      progress.stop();
    }
  }

  private outputOf(light: LightDownloadRequest): OutputRequest | undefined {
    if (light.output === undefined) return undefined;
    if (light.output === '') throw new DfError('invalid-argument', 'output: must not be empty');
    const { uid, gid } = light;
    return {
      path: light.output,
      overwrite: light.overwrite ?? false,
      forceHardLink: light.forceHardLink ?? false,
      ...(this.options.mayChangeOwner && uid !== undefined && gid !== undefined ? { owner: { uid, gid } } : {}),
    };
  }
}

function lightTraffic(traffic: Traffic): LightTraffic {
  return { fromSource: traffic.source, fromPeers: traffic.peer, fromSeed: traffic.seed, fromLocal: traffic.local };
}

function sum(traffic: Traffic): number {
  return traffic.local + traffic.source + traffic.peer + traffic.seed;
}

/** Runs `action` soon after `touch`, but not more often than every `intervalMs`. */
function atMostEvery(intervalMs: number, action: () => void): { touch(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let lastMs = -Infinity;
  const run = (): void => {
    timer = undefined;
    lastMs = performance.now();
    action();
  };
  return {
    touch: () => {
      timer ??= setTimeout(run, Math.max(0, lastMs + intervalMs - performance.now()));
    },
    stop: () => {
      clearTimeout(timer);
    },
  };
}
