import { DfError } from '@dragonfly/errors';
import type { PieceStore } from '@dragonfly/piece-store';
import type { commonV2, DeepPartial, dfdaemonV2 } from '@dragonfly/proto';
import type { CallContext, ServerStream } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { requestOfDownload } from '../download/download-request.js';
import type { DownloadManager } from '../download/download-manager.js';
import type { FinishedAnnouncer } from '../download/finished-announcer.js';
import { loggableUrl } from '../download/loggable-url.js';
import type { TaskRegistry } from '../download/task-registry.js';
import { streamDownload } from '../download-service/task-stream.js';
import { networkMessage } from '../host/host-message.js';
import type { HostIdentity } from '../host/identity.js';
import type { NetworkMonitor } from '../host/network-monitor.js';
import { CONTENT_VERSION_KEY, contentVersionOf } from '../parents/content-version.js';
import type { UploadCounters } from '../pieces/upload-counters.js';
import type { RoleProfile } from '../role-profile.js';
import { syncPieces } from './sync-pieces.js';
import { localTaskMessage } from './task-messages.js';

export interface UploadServiceOptions {
  readonly profile: RoleProfile;
  readonly identity: HostIdentity;
  /** Port of the piece server; known when the service is called, not yet when it is made. */
  readonly piecePort: () => number;
  readonly store: PieceStore;
  readonly downloads: DownloadManager;
  readonly tasks: TaskRegistry;
  readonly finished: FinishedAnnouncer;
  readonly network: NetworkMonitor;
  readonly counters: UploadCounters;
  readonly log: Logger;
}

/**
 * `dfdaemon.v2.DfdaemonUpload`: what schedulers and other peers ask of this daemon, free of any transport. Methods of
 * persistent and cache tasks are not offered.
 */
export class UploadService {
  constructor(private readonly options: UploadServiceOptions) {}

  /** Triggered by a scheduler (seed peer, preheat): the content is brought into the store. */
  async downloadTask(
    { download }: dfdaemonV2.DownloadTaskRequest,
    stream: ServerStream<dfdaemonV2.DownloadTaskResponse>,
  ): Promise<void> {
    if (download === undefined) throw new DfError('invalid-argument', 'download: value is required');
    const { profile, store, downloads, identity, finished, log } = this.options;
    // Whoever reaches this port is not asked who it is, so it may not write files of its choice.
    if (download.outputPath) log.warn({ outputPath: download.outputPath }, 'output path of a remote caller ignored');
    const request = requestOfDownload({ ...download, outputPath: undefined });
    const task = store.get(request.kind, request.taskId);
    if (task?.isComplete === true && request.range === undefined) {
      await finished.announce(request, task, stream.signal);
      return;
    }
    const signal = profile.finishesTriggeredDownloads ? new AbortController().signal : stream.signal;
    log.info({ taskId: request.taskId, url: loggableUrl(request.url) }, 'download triggered');
    await streamDownload({ hostId: identity.hostId, downloads, request, stream, signal });
  }

  async syncPieces(
    request: dfdaemonV2.SyncPiecesRequest,
    stream: ServerStream<dfdaemonV2.SyncPiecesResponse>,
  ): Promise<void> {
    const { store, downloads, identity, piecePort } = this.options;
    // Under whatever name or address a scheduler gave it to itself: it would wait for its own pieces for ever.
    if (request.hostId === identity.hostId) {
      throw new DfError('failed-precondition', 'a host cannot be its own parent');
    }
    const task = store.get('standard', request.taskId);
    if (task === undefined) throw new DfError('not-found', `task ${request.taskId} not found`);
    const isDownloading = (): boolean => downloads.isDownloading('standard', request.taskId);
    if (task.failure !== undefined && !isDownloading()) {
      throw new DfError('failed-precondition', `task ${request.taskId} has failed: ${task.failure.message}`);
    }
    const [asked] = stream.metadata.get(CONTENT_VERSION_KEY);
    const held = contentVersionOf(task);
    if (asked !== undefined && held !== undefined && String(asked) !== held) {
      throw new DfError('failed-precondition', `task ${request.taskId} is of another version of the content here`);
    }
    await syncPieces({
      task,
      interested: request.interestedPieceNumbers,
      endpoint: { ip: identity.ip, tcpPort: piecePort() },
      isDownloading,
      stream,
    });
  }

  /** Bandwidth samples, one a second, until the child leaves. A child that reads slowly gets fewer. */
  async syncHost(_request: dfdaemonV2.SyncHostRequest, stream: ServerStream<commonV2.Host>): Promise<void> {
    const { network, identity } = this.options;
    let isWritable = true;
    const send = (): void => {
      if (!isWritable || stream.isOver) return;
      isWritable = stream.send({ id: identity.hostId, network: networkMessage(network.rates) });
      if (!isWritable) {
        void stream.whenWritable().then(() => {
          isWritable = true;
        });
      }
    };
    const over = Promise.withResolvers<void>();
    stream.onCancel(over.resolve);
    const unsubscribe = network.onSample(send);
    const unstop = network.onStop(over.resolve);
    send();
    await over.promise;
    unsubscribe();
    unstop();
  }

  async statTask({ taskId }: dfdaemonV2.StatTaskRequest, { signal }: CallContext): Promise<commonV2.Task> {
    return this.options.tasks.stat(taskId, signal);
  }

  async statLocalTask({ taskId }: dfdaemonV2.StatLocalTaskRequest): Promise<dfdaemonV2.StatLocalTaskResponse> {
    const task = this.options.store.get('standard', taskId);
    if (task === undefined) throw new DfError('not-found', `task not found: ${taskId}`);
    return localTaskMessage(task, this.options.counters);
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
}

/** No source of this version can list a directory. */
export function cannotList(url: string): never {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1] ?? 'this';
  throw new DfError('unimplemented', `entries of ${scheme} URLs cannot be listed`);
}
