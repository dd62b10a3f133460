import { statSync } from 'node:fs';
import { DfError } from '@dragonfly/errors';
import type { DoneMessage, LightDownloadRequest, LightTrace } from '@dragonfly/light';
import { DaemonWatch } from './daemon-watch.js';
import type { DownloadObserver, DownloadResult } from './download-result.js';
import type { DownloadOptions } from './options.js';
import type { DaemonAccess } from './reach-daemon.js';

type LightAccess = DaemonAccess & { readonly kind: 'light' };

/** Who asks, as the daemon is told. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  /** W3C trace context that the download belongs to. */
  readonly trace?: LightTrace | undefined;
}

/**
 * Downloads by the daemon's light protocol; the daemon makes the output.
 * @throws DfError of the daemon; `unavailable` with `details.isConnectionLost` when it is gone or frozen; `not-found` with errno ENOENT when the daemon made an output that is not to be seen here
 */
export async function downloadByLight(
  { client, sockets }: LightAccess,
  options: DownloadOptions,
  caller: Caller,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<DownloadResult> {
  let peerId = '';
  const watch = new DaemonWatch(sockets.lightPath, () => client.close());
  let done: DoneMessage;
  try {
    done = await client.download(lightRequest(options, caller), {
      signal,
      onStarted: (started) => {
        watch.heard();
        peerId = started.peerId;
        observer.onProgress(0, started.contentLength);
      },
      onProgress: (progress) => {
        watch.heard();
        observer.onProgress(progress.completedLength, progress.contentLength);
      },
    });
  } catch (error) {
    throw watch.explain(error);
  } finally {
    watch.stop();
  }
  checkVisible(options.outputPath, done.contentLength);
  return {
    outcome: done.outcome,
    contentLengthBytes: done.contentLength,
    taskId: done.taskId,
    peerId,
    traffic: done.traffic,
  };
}

/** The request of a command line. Absent keys are left out of the JSON. */
export function lightRequest(options: DownloadOptions, caller: Caller): LightDownloadRequest {
  return {
    url: options.url,
    output: options.outputPath,
    tag: options.tag,
    application: options.application,
    headers: options.headers,
    digest: options.digest,
    pieceLength: options.pieceLengthBytes,
    filteredQueryParams: options.filteredQueryParams,
    range: options.range,
    timeoutMs: options.timeoutMs,
    disableBackToSource: options.disableBackToSource,
    priority: options.priority,
    schedulingPolicy: options.schedulingPolicy,
    overwrite: options.mayReplaceOutput,
    forceHardLink: options.forceHardLink,
    contentForCalculatingTaskId: options.contentForCalculatingTaskId,
    rateLimitBytesPerSecond: options.rateLimitBytesPerSecond,
    uid: caller.uid,
    gid: caller.gid,
    callerCwd: caller.cwd,
    trace: caller.trace,
  };
}

/** A daemon in another mount namespace (a container) writes its output where the caller cannot see it. */
function checkVisible(outputPath: string, contentLengthBytes: number): void {
  const output = statSync(outputPath, { throwIfNoEntry: false });
  if (output === undefined) {
    throw new DfError('not-found', `the daemon's output is not at ${outputPath}`, { details: { errno: 'ENOENT' } });
  }
  if (output.size !== contentLengthBytes) {
    throw new DfError('data-loss', `${outputPath} has ${output.size} bytes, the daemon wrote ${contentLengthBytes}`);
  }
}
