import { DfError } from '@dragonfly/errors';
import type { PieceStore } from '@dragonfly/piece-store';
import type { commonV2, DeepPartial, dfdaemonV2 } from '@dragonfly/proto';
import type { CallContext, ServerStream } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { deliver } from '../download/delivery.js';
import { requestOfDownload } from '../download/download-request.js';
import type { DownloadManager } from '../download/download-manager.js';
import type { OutputRequest, OutputWriter } from '../download/output.js';
import type { TaskRegistry } from '../download/task-registry.js';
import { blockedBy, type BlockList } from '../dynconfig/block-list.js';
import type { UploadCounters } from '../pieces/upload-counters.js';
import { cannotList } from '../upload/upload-service.js';
import { localTaskMessage } from '../upload/task-messages.js';
import { streamDownload } from './task-stream.js';

/**
 * How long DownloadTask may go without response headers. A dfget written in Rust removes its output file when a call
 * fails after the headers and, where there is none, reports that instead of the failure: what fails before the download
 * has begun, such as the look at the source, must come before them. Rust clients wait up to 10 s for headers.
 */
export const DOWNLOAD_HEADERS_WITHIN_MS = 5000;

export interface DownloadServiceOptions {
  readonly hostId: string;
  readonly store: PieceStore;
  readonly downloads: DownloadManager;
  readonly outputs: OutputWriter;
  readonly tasks: TaskRegistry;
  readonly counters: UploadCounters;
  readonly log: Logger;
  readonly blockList: () => BlockList;
  /** Takes this host away from all schedulers. */
  readonly leave: () => Promise<void>;
}

/**
 * `dfdaemon.v2.DfdaemonDownload`: what programs of this host ask of the daemon over its unix socket, free of any
 * transport. Methods of persistent and cache tasks are not offered.
 */
export class DownloadService {
  constructor(private readonly options: DownloadServiceOptions) {}

  async downloadTask(
    { download }: dfdaemonV2.DownloadTaskRequest,
    stream: ServerStream<dfdaemonV2.DownloadTaskResponse>,
  ): Promise<void> {
    if (download === undefined) throw new DfError('invalid-argument', 'download: value is required');
    const { downloads, outputs, hostId } = this.options;
    refuseBlocked(this.options.blockList(), download);
    const request = requestOfDownload(download);
    const output: OutputRequest | undefined = download.outputPath
      ? { path: download.outputPath, overwrite: download.overwrite, forceHardLink: download.forceHardLink }
      : undefined;
    await outputs.check(output, download.digest);
    const { signal } = stream;
    const result = await streamDownload({ hostId, downloads, request, stream, signal });
    await deliver(result, { request, digest: download.digest, output }, this.options, signal);
  }

  async statTask({ taskId }: dfdaemonV2.StatTaskRequest, { signal }: CallContext): Promise<commonV2.Task> {
    return this.options.tasks.stat(taskId, signal);
  }

  async statLocalTask({ taskId }: dfdaemonV2.StatLocalTaskRequest): Promise<dfdaemonV2.StatLocalTaskResponse> {
    const task = this.options.store.get('standard', taskId);
    if (task === undefined) throw new DfError('not-found', `task not found: ${taskId}`);
    return localTaskMessage(task, this.options.counters);
  }

  async listLocalTasks(): Promise<dfdaemonV2.ListLocalTasksResponse> {
    const tasks = this.options.store.list().filter((task) => task.kind === 'standard');
    return { tasks: tasks.map((task) => localTaskMessage(task, this.options.counters)) };
  }

  async listTaskEntries(
    request: dfdaemonV2.ListTaskEntriesRequest,
  ): Promise<DeepPartial<dfdaemonV2.ListTaskEntriesResponse>> {
    return cannotList(request.url);
  }

  async deleteTask({ taskId }: dfdaemonV2.DeleteTaskRequest, { signal }: CallContext): Promise<object> {
    await this.options.tasks.delete(taskId, signal);
    return {};
  }

  async deleteLocalTask({ taskId }: dfdaemonV2.DeleteLocalTaskRequest): Promise<object> {
    await this.options.tasks.deleteLocal(taskId);
    return {};
  }

  async deleteHost(): Promise<object> {
    await this.options.leave();
    return {};
  }
}

/** @throws DfError `permission-denied` naming the rule of the cluster that forbids the download */
export function refuseBlocked(list: BlockList, download: commonV2.Download): void {
  const reason = blockedBy(list, {
    url: download.url,
    application: download.application,
    tag: download.tag,
    priority: download.priority,
  });
  if (reason !== undefined) throw new DfError('permission-denied', `the cluster forbids this download: ${reason}`);
}
