import type { Peer } from '@dragonfly/scheduling';
import { taskSizeLevel } from '../metrics.js';
import type { SchedulerState } from '../scheduler-state.js';
import { labelsOf } from './peer-labels.js';

// What the reports about a whole download do to its peer and task. Each throws DfError `internal` for a report that is
// illegal in the peer's state, before anything has changed.

/** The peer downloads from parents; clients say so again after every new set of them. */
export function started(state: SchedulerState, peer: Peer): void {
  state.metrics.downloadPeerStarted.total.inc(labelsOf(peer));
  if (peer.state !== 'Running') peer.apply('Download', state.clock.nowMs());
  state.scheduler.heardFrom(peer);
}

/** The peer downloads from the source, told to or not. */
export function backToSourceStarted(state: SchedulerState, peer: Peer): void {
  state.metrics.downloadPeerBackToSourceStarted.total.inc(labelsOf(peer));
  if (peer.state !== 'BackToSource') peer.apply('DownloadBackToSource', state.clock.nowMs());
  state.scheduler.wentToSource(peer);
}

/** The peer has all it wanted. */
export function finished(state: SchedulerState, peer: Peer): void {
  const nowMs = state.clock.nowMs();
  peer.apply('DownloadSucceeded', nowMs);
  // A clock that was put back must not make a download take less than nothing.
  peer.costMs = Math.max(0, nowMs - peer.createdAtMs);
  state.metrics.downloadPeerFinished.total.inc(labelsOf(peer));
  state.metrics.downloadPeerDuration.observe(
    { task_size_level: taskSizeLevel(peer.task.contentLengthBytes) },
    peer.costMs,
  );
  state.scheduler.succeeded(peer);
  state.strategies.downloadEnded(peer);
  state.log.info(
    { taskId: peer.task.id, peerId: peer.id, hostId: peer.host.id, costMs: peer.costMs },
    'peer has finished',
  );
}

/** The same from the source: unless it wanted a part only, the task has succeeded. */
export function backToSourceFinished(state: SchedulerState, peer: Peer): void {
  const { task } = peer;
  const nowMs = state.clock.nowMs();
  if (peer.can('DownloadSucceeded') && peer.range === undefined) {
    if (task.state !== 'Succeeded') task.apply('DownloadSucceeded', nowMs);
    if (task.contentLengthBytes === undefined) {
      // The source did not tell the length; its pieces do.
      task.contentLengthBytes = task.sourcePieces.bytes;
      task.pieceCount = task.sourcePieces.size;
    }
  }
  finished(state, peer);
  state.scheduler.contentChanged(task);
}

/** The peer has given up. */
export function failed(state: SchedulerState, peer: Peer, description: string | undefined): void {
  peer.apply('DownloadFailed', state.clock.nowMs());
  state.metrics.downloadPeerFinished.failure.inc(labelsOf(peer));
  state.scheduler.failed(peer);
  state.strategies.downloadEnded(peer);
  state.log.info({ taskId: peer.task.id, peerId: peer.id, hostId: peer.host.id, description }, 'peer has failed');
}

/** The source has refused the peer. */
export function backToSourceFailed(state: SchedulerState, peer: Peer, description: string | undefined): void {
  const { task } = peer;
  const nowMs = state.clock.nowMs();
  peer.apply('DownloadFailed', nowMs);
  task.refreshOfferable(peer);
  // The task has failed with its last hope; peers that have the content keep it.
  if (task.offerable.length === 0 && task.state === 'Running') task.apply('DownloadFailed', nowMs);
  state.metrics.downloadPeerBackToSourceFinishedFailure.inc(labelsOf(peer));
  state.scheduler.failed(peer);
  state.strategies.downloadEnded(peer);
  state.log.info(
    { taskId: task.id, peerId: peer.id, hostId: peer.host.id, description },
    'peer has failed to fetch the task from the source',
  );
}
