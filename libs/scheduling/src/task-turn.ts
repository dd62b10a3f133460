import type { Alarm } from './alarm.js';
import type { SourceLease } from './source-lease.js';
import type { Peer, Task } from './task.js';
import type { Waiter } from './waiter.js';

/** What is going on with one task. */
export interface TaskTurn {
  lease: SourceLease | undefined;
  /** In order of arrival. */
  readonly waiters: Map<Peer, Waiter>;
  /** When a seed was last unable to get the task. */
  seedFailedAtMs: number | undefined;
  /** Goes off not later than the first deadline of those who wait. */
  readonly alarm: Alarm;
  /** Waiting peers are being looked at, over several turns of the event loop. */
  isWaking: boolean;
  /** Something has come meanwhile that those who were looked at already may want. */
  mustWakeAgain: boolean;
}

/** The lease is over in the usual way. */
export function endLease(turn: TaskTurn): void {
  turn.lease?.handle?.release();
  turn.lease = undefined;
}

/** Takes the lease away from a holder that has not ended it: it no longer counts as being at the source. */
export function dropLease(task: Task, turn: TaskTurn, lease: SourceLease, nowMs: number): void {
  if (lease.trigger !== undefined) turn.seedFailedAtMs = nowMs;
  if (lease.holder !== undefined) task.backToSourcePeers.delete(lease.holder);
  endLease(turn);
}

/**
 * Peers of seeds before all others, otherwise in their order. A seed that waits itself is the one that would be asked to
 * fetch for the others: it does all its requests for a task as one, and would wait for the lease that it has.
 */
export function leadersFirst(peers: readonly Peer[]): readonly Peer[] {
  const seeds = peers.filter((peer) => peer.host.facts.isSeed);
  return seeds.length === 0 ? peers : [...seeds, ...peers.filter((peer) => !peer.host.facts.isSeed)];
}
