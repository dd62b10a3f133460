import type { commonV2 } from '@dragonfly/proto';
import type { PeerId } from '@dragonfly/ids';
import type { ApplicationPriority, Clock, Host, ParentScheduler, Peer, Resources } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { JobRunner } from './announce/turns.js';
import type { GuestPeers } from './holders/guest-peers.js';
import type { SchedulerMetrics } from './metrics.js';
import type { DownloadRecorder } from './records/download-recorder.js';
import type { StrategyDesk } from './strategies/strategy-desk.js';
import type { AnnouncedHosts } from './wire/wire-records.js';

/** What the services of one scheduler share: its memory and its decisions. */
export interface SchedulerState {
  readonly clock: Clock;
  readonly resources: Resources;
  readonly scheduler: ParentScheduler;
  readonly hosts: AnnouncedHosts;
  /** Looks for a host among those of the other schedulers; undefined when this one is alone. Never rejects. */
  readonly recallHost: ((hostId: string) => Promise<void>) | undefined;
  /** What peers with an open stream asked for; passed on to a seed that is triggered for them. */
  readonly downloads: Map<PeerId, commonV2.Download>;
  /** Priorities by application; the manager may change them at any time. */
  readonly applications: () => readonly ApplicationPriority[];
  readonly metrics: SchedulerMetrics;
  /** What each download got from whom. */
  readonly records: DownloadRecorder;
  /** Spreads the messages of announce streams over turns of the event loop. */
  readonly turns: JobRunner;
  readonly strategies: StrategyDesk;
  /** Peers that other schedulers of the cluster serve; undefined when this one is alone. */
  readonly guests: GuestPeers | undefined;
  readonly log: Logger;
}

/** Deletes a peer; one that waits for parents is told so. */
export function deletePeer(state: SchedulerState, peer: Peer): void {
  const waiter = state.scheduler.removing(peer);
  state.resources.removePeer(peer);
  state.downloads.delete(peer.id);
  waiter?.answer({ kind: 'refused', code: 'not-found', message: `peer ${peer.id} not found` });
}

/** Deletes a host with all its peers. */
export function deleteHost(state: SchedulerState, host: Host): void {
  for (const peer of [...state.resources.peersOf(host)]) deletePeer(state, peer);
  state.resources.removeHost(host);
}
