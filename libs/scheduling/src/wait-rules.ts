import { sourcePolicyOf } from './priority.js';
import { isConnected, isOfUse, type SourceLease, stallDeadlineMs } from './source-lease.js';
import type { Peer } from './task.js';
import type { Waiter } from './waiter.js';

/** Times and counts that bound waiting and going to the source. */
export interface SourceLimits {
  /** A lease without a finished piece for this long is over (pieces > 4 MiB get proportionally more). */
  readonly stallTimeoutMs: number;
  /** Longest wait after the lease holder's last sign of life. */
  readonly waitTimeoutMs: number;
  /**
   * Wait of a peer to which the lease holder is of no use (blocked, on the same host, not sharing) before it goes to the
   * source beside the holder; counts only where `backToSourceCount` leaves room for it.
   */
  readonly unusableHolderWaitMs: number;
  /** Peers of a task that may be at the source at once, the lease holder included. */
  readonly backToSourceCount: number;
}

/** When the wait of a peer ends at the latest, as things stand. */
export function waitDeadlineMs(
  peer: Peer,
  waiter: Waiter,
  lease: SourceLease | undefined,
  limits: SourceLimits,
): number {
  if (lease === undefined) return waiter.sinceMs + limits.waitTimeoutMs;
  if (!isOfUse(lease, peer)) {
    if (mayJoinAtSource(peer, lease, limits)) return waiter.sinceMs + limits.unusableHolderWaitMs;
    if (!mayGoToSource(peer)) return waiter.sinceMs + limits.waitTimeoutMs;
  }
  return Math.max(waiter.sinceMs, lease.lastSignOfLifeMs) + limits.waitTimeoutMs;
}

/** When the lease has to be looked at: it ends by itself, if no further piece is finished, or is to be asked for again. */
export function leaseDeadlineMs(lease: SourceLease, pieceLengthBytes: number, limits: SourceLimits): number {
  return Math.min(lease.recheckAtMs, stallDeadlineMs(lease, limits.stallTimeoutMs, pieceLengthBytes));
}

/** Whether a lease is worth waiting for. */
export function isAlive(lease: SourceLease, pieceLengthBytes: number, limits: SourceLimits, nowMs: number): boolean {
  return isConnected(lease) && nowMs < stallDeadlineMs(lease, limits.stallTimeoutMs, pieceLengthBytes);
}

/** Whether a peer may be told to fetch from the source, when its turn comes. */
export function mayGoToSource(peer: Peer): boolean {
  const policy = sourcePolicyOf(peer.priority);
  const isAllowed = policy === 'seed-first' || policy === 'requester';
  return isAllowed && !peer.isBackToSourceDisabled;
}

/** Whether a peer may be told to fetch from the source while somebody else has the lease. */
export function mayJoinAtSource(peer: Peer, lease: SourceLease, limits: SourceLimits): boolean {
  return mayGoToSource(peer) && hasRoomAtSource(peer, lease, limits);
}

/** Whether one more of the task's peers may be at the source, beside those that are there and the lease's holder. */
export function hasRoomAtSource(peer: Peer, lease: SourceLease | undefined, limits: SourceLimits): boolean {
  const { backToSourcePeers } = peer.task;
  if (backToSourcePeers.has(peer)) return true;
  const isCounted = lease === undefined || (lease.holder !== undefined && backToSourcePeers.has(lease.holder));
  return backToSourcePeers.size + (isCounted ? 0 : 1) < limits.backToSourceCount;
}
