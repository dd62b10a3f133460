import type { StoredTask } from '@dragonfly/piece-store';
import type { dfdaemonV2 } from '@dragonfly/proto';
import type { UploadCounters } from '../pieces/upload-counters.js';

/** What this daemon has of a task, as StatLocalTask and ListLocalTasks tell it. */
export function localTaskMessage(task: StoredTask, counters: UploadCounters): dfdaemonV2.StatLocalTaskResponse {
  const { uploading, uploaded } = counters.of(task.id);
  const updatedAt = new Date(task.updatedAtMs);
  return {
    taskId: task.id,
    pieceLength: BigInt(task.pieceLengthBytes),
    contentLength: task.contentLengthBytes === undefined ? undefined : BigInt(task.contentLengthBytes),
    responseHeader: { ...task.meta.responseHeader },
    uploadingCount: BigInt(uploading),
    uploadedCount: BigInt(uploaded),
    createdAt: new Date(task.meta.createdAtMs),
    updatedAt,
    prefetchedAt: undefined,
    failedAt: task.failure === undefined ? undefined : new Date(task.failure.atMs),
    // The store does not keep the moment of completion; nothing later than it changes the task but its uses.
    finishedAt: task.isComplete ? updatedAt : undefined,
  };
}
