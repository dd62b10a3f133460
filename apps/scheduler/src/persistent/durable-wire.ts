import { assertNever } from '@dragonfly/errors';
import { commonV2, durationToMs, msToDuration, type schedulerV2 } from '@dragonfly/proto';
import type { DurableReport, DurableUpload, PeerView, TaskView } from './durable-messages.js';
import type { DurableWire } from './durable-session.js';

const DEFAULT_CONCURRENT_PIECE_COUNT = 8;

/** Messages of persistent tasks. */
export const persistentWire: DurableWire<
  schedulerV2.AnnouncePersistentPeerRequest,
  schedulerV2.AnnouncePersistentPeerResponse
> = {
  readMessage: ({ hostId, taskId, peerId, request }) => ({
    hostId,
    taskId,
    peerId,
    report: request && persistentReport(request),
  }),
  writeAnswer: (answer) => {
    switch (answer.kind) {
      case 'empty':
        return { response: { $case: 'emptyPersistentTaskResponse', value: {} } };
      case 'parents':
        return {
          response: {
            $case: 'normalPersistentTaskResponse',
            value: { candidateParents: answer.parents.map(persistentPeerRecord) },
          },
        };
      case 'back-to-source':
        return { response: { $case: 'needBackToSourceResponse', value: { description: answer.description } } };
      default:
        return assertNever(answer);
    }
  },
};

/** Messages of persistent cache tasks. */
export const persistentCacheWire: DurableWire<
  schedulerV2.AnnouncePersistentCachePeerRequest,
  schedulerV2.AnnouncePersistentCachePeerResponse
> = {
  readMessage: ({ hostId, taskId, peerId, request }) => ({
    hostId,
    taskId,
    peerId,
    report: request && persistentCacheReport(request),
  }),
  writeAnswer: (answer) => {
    switch (answer.kind) {
      case 'empty':
        return { response: { $case: 'emptyPersistentCacheTaskResponse', value: {} } };
      case 'parents':
        return {
          response: {
            $case: 'normalPersistentCacheTaskResponse',
            value: { candidateParents: answer.parents.map(persistentCachePeerRecord) },
          },
        };
      case 'back-to-source':
        throw new Error('persistent cache tasks have no source');
      default:
        return assertNever(answer);
    }
  },
};

export function persistentUpload(request: schedulerV2.UploadPersistentTaskStartedRequest): DurableUpload {
  return {
    ...idsOf(request),
    facts: {
      ...uploadFacts(request),
      url: request.url,
      region: request.objectStorage?.region ?? '',
      endpoint: request.objectStorage?.endpoint ?? '',
      tag: '',
      application: '',
      pieceLengthBytes: 0n,
    },
  };
}

export function persistentCacheUpload(request: schedulerV2.UploadPersistentCacheTaskStartedRequest): DurableUpload {
  return {
    ...idsOf(request),
    facts: {
      ...uploadFacts(request),
      url: '',
      region: '',
      endpoint: '',
      tag: request.tag ?? '',
      application: request.application ?? '',
      pieceLengthBytes: request.pieceLength,
    },
  };
}

export function persistentTaskRecord(view: TaskView): commonV2.PersistentTask {
  return taskFieldsOf(view);
}

export function persistentCacheTaskRecord(view: TaskView): commonV2.PersistentCacheTask {
  const { task } = view;
  return {
    ...taskFieldsOf(view),
    tag: task.tag || undefined,
    application: task.application || undefined,
    pieceLength: task.pieceLengthBytes,
  };
}

export function persistentPeerRecord(view: PeerView): commonV2.PersistentPeer {
  return { ...peerFieldsOf(view), task: persistentTaskRecord(view.task) };
}

export function persistentCachePeerRecord(view: PeerView): commonV2.PersistentCachePeer {
  return { ...peerFieldsOf(view), task: persistentCacheTaskRecord(view.task) };
}

function persistentReport(request: NonNullable<schedulerV2.AnnouncePersistentPeerRequest['request']>): DurableReport {
  switch (request.$case) {
    case 'registerPersistentPeerRequest':
      return register(request.value, request.value.needBackToSource);
    case 'downloadPersistentPeerStartedRequest':
    case 'downloadPersistentPeerBackToSourceStartedRequest':
      return { kind: 'started' };
    case 'reschedulePersistentPeerRequest':
      return reschedule(request.value.candidateParents);
    case 'downloadPersistentPeerFinishedRequest':
    case 'downloadPersistentPeerBackToSourceFinishedRequest':
      return { kind: 'finished' };
    case 'downloadPersistentPeerFailedRequest':
    case 'downloadPersistentPeerBackToSourceFailedRequest':
      return { kind: 'failed', description: request.value.description };
    case 'downloadPieceFinishedRequest':
      return { kind: 'piece-finished', piece: request.value.piece, isFromSource: false };
    case 'downloadPieceBackToSourceFinishedRequest':
      return { kind: 'piece-finished', piece: request.value.piece, isFromSource: true };
    case 'downloadPieceFailedRequest':
      return pieceFailed(request.value);
    case 'downloadPieceBackToSourceFailedRequest':
      return { kind: 'source-piece-failed' };
    default:
      return assertNever(request);
  }
}

function persistentCacheReport(
  request: NonNullable<schedulerV2.AnnouncePersistentCachePeerRequest['request']>,
): DurableReport {
  switch (request.$case) {
    case 'registerPersistentCachePeerRequest':
      return register(request.value, false);
    case 'downloadPersistentCachePeerStartedRequest':
      return { kind: 'started' };
    case 'reschedulePersistentCachePeerRequest':
      return reschedule(request.value.candidateParents);
    case 'downloadPersistentCachePeerFinishedRequest':
      return { kind: 'finished' };
    case 'downloadPersistentCachePeerFailedRequest':
      return { kind: 'failed', description: request.value.description };
    case 'downloadPieceFinishedRequest':
      return { kind: 'piece-finished', piece: request.value.piece, isFromSource: false };
    case 'downloadPieceFailedRequest':
      return pieceFailed(request.value);
    default:
      return assertNever(request);
  }
}

function register(
  value: { readonly persistent: boolean; readonly concurrentPieceCount?: number | undefined },
  needsBackToSource: boolean,
): DurableReport {
  return {
    kind: 'register',
    isPersistent: value.persistent,
    needsBackToSource,
    concurrentPieceCount: value.concurrentPieceCount ?? DEFAULT_CONCURRENT_PIECE_COUNT,
  };
}

function reschedule(candidates: readonly { readonly id: string }[]): DurableReport {
  return { kind: 'reschedule', unwantedParents: candidates.map(({ id }) => id) };
}

function pieceFailed(value: schedulerV2.DownloadPieceFailedRequest): DurableReport {
  return { kind: 'piece-failed', parentId: value.parentId, isTemporary: value.temporary };
}

function idsOf(request: { readonly hostId: string; readonly taskId: string; readonly peerId: string }): {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
} {
  return { hostId: request.hostId, taskId: request.taskId, peerId: request.peerId };
}

function uploadFacts(
  request: schedulerV2.UploadPersistentTaskStartedRequest | schedulerV2.UploadPersistentCacheTaskStartedRequest,
): Pick<DurableUpload['facts'], 'replicaCount' | 'contentLengthBytes' | 'pieceCount' | 'ttlMs'> {
  return {
    replicaCount: request.persistentReplicaCount,
    contentLengthBytes: request.contentLength,
    pieceCount: request.pieceCount,
    // Whole milliseconds, as the store keeps them.
    ttlMs: request.ttl === undefined ? 0 : Math.round(durationToMs(request.ttl)),
  };
}

function taskFieldsOf({ task, replicas }: TaskView): commonV2.PersistentTask {
  return {
    id: task.id,
    persistentReplicaCount: task.replicaCount,
    currentPersistentReplicaCount: BigInt(replicas.persistent),
    currentReplicaCount: BigInt(replicas.all),
    contentLength: task.contentLengthBytes,
    pieceCount: task.pieceCount,
    state: task.state,
    ttl: msToDuration(task.ttlMs),
    createdAt: new Date(task.createdAtMs),
    updatedAt: new Date(task.updatedAtMs),
  };
}

function peerFieldsOf({ peer, host }: PeerView): Omit<commonV2.PersistentPeer, 'task'> {
  return {
    id: peer.id,
    persistent: peer.isPersistent,
    cost: msToDuration(peer.costMs),
    state: peer.state,
    host: host.record,
    createdAt: new Date(peer.createdAtMs),
    updatedAt: new Date(peer.updatedAtMs),
    concurrentPieceCount: peer.concurrentPieceCount,
  };
}
