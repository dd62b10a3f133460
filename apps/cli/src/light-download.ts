import { statSync } from 'node:fs';
import { DfError } from '@dragonfly/errors';
import type { LightClient, LightDownloadRequest } from '@dragonfly/light';
import type { DownloadObserver, DownloadResult } from './download-result.js';
import type { DownloadOptions } from './options.js';

/** Who asks, as the daemon is told. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
}

/**
 * Downloads by the daemon's light protocol; the daemon makes the output.
 * @throws DfError of the daemon; `not-found` with errno ENOENT when the daemon made an output that is not to be seen here
 */
export async function downloadByLight(
  client: LightClient,
  options: DownloadOptions,
  caller: Caller,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<DownloadResult> {
  let peerId = '';
  const done = await client.download(lightRequest(options, caller), {
    signal,
    onStarted: (started) => {
      peerId = started.peerId;
      observer.onProgress(0, started.contentLength);
    },
    onProgress: (progress) => observer.onProgress(progress.completedLength, progress.contentLength),
  });
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
