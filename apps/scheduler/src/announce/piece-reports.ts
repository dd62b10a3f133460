import { commonV2, durationToMs, type schedulerV2 } from '@dragonfly/proto';
import type { Peer } from '@dragonfly/scheduling';
import { hostTypeOf } from '../metrics.js';
import type { SchedulerState } from '../scheduler-state.js';

const TRAFFIC_FROM_SOURCE = 0;
const TRAFFIC_FROM_PEER = 1;

/** The hot path: one call per piece of every download. Errors in a report are not worth ending a download for. */
export function pieceFinished(
  state: SchedulerState,
  peer: Peer,
  piece: commonV2.Piece | undefined,
  isFromSource: boolean,
): void {
  if (piece === undefined) return;
  const { scheduler, metrics, clock } = state;
  const nowMs = clock.nowMs();
  const costMs = piece.cost === undefined ? 0 : durationToMs(piece.cost);
  const lengthBytes = Number(piece.length);
  const isOwn = isFromOwnHost(piece, isFromSource);
  peer.pieces.add(piece.number);
  // What a piece once cost that the host had already says nothing of how the peer fares now.
  if (!isOwn) peer.costs.add(costMs);
  peer.updatedAtMs = nowMs;
  peer.pieceUpdatedAtMs = nowMs;
  peer.task.updatedAtMs = nowMs;
  let parent: Peer | undefined;
  if (isFromSource) {
    peer.task.sourcePieces.add({
      number: piece.number,
      offsetBytes: Number(piece.offset),
      lengthBytes,
      digest: piece.digest,
      costMs,
      createdAtMs: piece.createdAt?.getTime() ?? nowMs,
    });
  } else if (piece.parentId !== undefined && piece.parentId !== '') {
    parent = parentOf(peer, piece.parentId);
    if (parent !== undefined) {
      parent.updatedAtMs = nowMs;
      parent.host.updatedAtMs = nowMs;
    }
  }
  scheduler.pieceFinished(peer, nowMs);
  if (isOwn) {
    state.records.pieceFound(peer, lengthBytes);
  } else {
    state.records.pieceFinished(peer, parent, isFromSource, lengthBytes);
    state.strategies.pieceFinished(peer, parent, isFromSource, lengthBytes, costMs);
    metrics.hostTraffic?.transferred(peer.host, parent?.host, lengthBytes);
  }
  metrics.pieceFinished(
    piece.trafficType ?? (isFromSource ? TRAFFIC_FROM_SOURCE : TRAFFIC_FROM_PEER),
    hostTypeOf(peer.host.facts.isSeed),
    lengthBytes,
    peer.task.kind,
  );
}

/**
 * Whether the peer's own host had the piece: a daemon that goes on with an interrupted download says so, so that others
 * are sent to it at once. Where a daemon has two downloads of one task at a time, as a real seed that
 * is triggered while it preheats, the second waits for the pieces of the first, and reports each as one from a peer
 * without naming any: counted as such, the same bytes would have been fetched twice.
 */
export function isFromOwnHost(piece: commonV2.Piece, isFromSource: boolean): boolean {
  if (piece.trafficType === commonV2.TrafficType.LOCAL_PEER) return true;
  return !isFromSource && (piece.parentId ?? '') === '';
}

/** A parent did not give a piece: it is not offered to this peer again. */
export function pieceFailed(state: SchedulerState, peer: Peer, request: schedulerV2.DownloadPieceFailedRequest): void {
  peer.updatedAtMs = state.clock.nowMs();
  state.metrics.pieceFailed(TRAFFIC_FROM_PEER, hostTypeOf(peer.host.facts.isSeed), peer.task.kind);
  if (!request.temporary) {
    state.log.debug({ peerId: peer.id, parentId: request.parentId }, 'piece failure that is not temporary');
    return;
  }
  const parent = parentOf(peer, request.parentId);
  state.records.pieceFailed(peer, request.parentId, parent);
  if (parent !== undefined) parent.host.uploadFailedCount += 1;
  peer.blockParent(request.parentId);
  state.strategies.pieceFailed(peer, parent);
}

/** The source did not give a piece. */
export function pieceBackToSourceFailed(state: SchedulerState, peer: Peer): void {
  peer.updatedAtMs = state.clock.nowMs();
  peer.task.updatedAtMs = peer.updatedAtMs;
  state.records.pieceFailed(peer, '', undefined);
  state.metrics.sourcePieceFailed(hostTypeOf(peer.host.facts.isSeed), peer.task.kind);
}

/** The parent that a report names; only a parent that this peer was given is touched by what it says. */
function parentOf(peer: Peer, parentId: string): Peer | undefined {
  for (const parent of peer.parents) if (parent.id === parentId) return parent;
  return undefined;
}
