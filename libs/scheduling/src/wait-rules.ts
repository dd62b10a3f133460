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
  /** Longest wait of a peer to which the lease holder is of no use (blocked, on the same host, not sharing). */
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
  if (isOfUse(lease, peer)) return Math.max(waiter.sinceMs, lease.lastSignOfLifeMs) + limits.waitTimeoutMs;
  return waiter.sinceMs + (mayGoToSource(peer, limits) ? limits.unusableHolderWaitMs : limits.waitTimeoutMs);
}

/** When the lease ends by itself, if no further piece is finished. */
export function leaseDeadlineMs(lease: SourceLease, pieceLengthBytes: number, limits: SourceLimits): number {
  return stallDeadlineMs(lease, limits.stallTimeoutMs, pieceLengthBytes);
}

/** Whether a lease is worth waiting for. */
export function isAlive(lease: SourceLease, pieceLengthBytes: number, limits: SourceLimits, nowMs: number): boolean {
  return isConnected(lease) && nowMs < leaseDeadlineMs(lease, pieceLengthBytes, limits);
}

/** Whether a peer may be told to fetch from the source at all. */
export function mayGoToSource(peer: Peer, limits: SourceLimits): boolean {
  const policy = sourcePolicyOf(peer.priority);
  const isAllowed = policy === 'seed-first' || policy === 'requester';
  return isAllowed && !peer.isBackToSourceDisabled && hasRoomAtSource(peer, limits);
}

/** Whether one more of the task's peers may be at the source. */
export function hasRoomAtSource(peer: Peer, limits: SourceLimits): boolean {
  const { backToSourcePeers } = peer.task;
  return backToSourcePeers.has(peer) || backToSourcePeers.size < limits.backToSourceCount;
}
