import type { schedulerV2 } from '@dragonfly/proto';
import type { Peer } from '@dragonfly/scheduling';
import { peerLabels, type SchedulerMetrics } from '../metrics.js';

/** Labels of a peer's metrics. */
export function labelsOf(peer: Peer): ReturnType<typeof peerLabels> {
  return peerLabels(peer.priority, peer.host.facts.isSeed, peer.task.kind);
}

/** Counts a message that could not be handled; `peer` is absent when none has registered. */
export function countFailure(
  message: schedulerV2.AnnouncePeerRequest,
  peer: Peer | undefined,
  metrics: SchedulerMetrics,
): void {
  const labels = peer === undefined ? peerLabels(0, false) : labelsOf(peer);
  switch (message.request?.$case) {
    case 'registerPeerRequest':
      metrics.registerPeer.failure.inc(labels);
      return;
    case 'downloadPeerStartedRequest':
      metrics.downloadPeerStarted.failure.inc(labels);
      return;
    case 'downloadPeerBackToSourceStartedRequest':
      metrics.downloadPeerBackToSourceStarted.failure.inc(labels);
      return;
    case 'downloadPeerFinishedRequest':
      metrics.downloadPeerFinished.failure.inc(labels);
      return;
    case 'downloadPeerBackToSourceFinishedRequest':
      metrics.downloadPeerBackToSourceFinishedFailure.inc(labels);
      return;
    default:
      return;
  }
}
