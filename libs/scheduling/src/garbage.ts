import type { Host } from './host.js';
import type { Peer } from './task.js';
import type { Resources } from './resources.js';
import type { Task } from './task.js';

/** Ages after which things are forgotten, in milliseconds. */
export interface GarbageLimits {
  /** A downloading peer without a finished piece for this long has gone. */
  readonly pieceDownloadTimeoutMs: number;
  /** A peer of which nothing was heard for this long. */
  readonly peerTtlMs: number;
  /** Peers of a host of which nothing was heard for this long. */
  readonly hostTtlMs: number;
}

/** A task with more peers than this gives up finished ones that nobody fetches from. */
const CROWDED_TASK_PEERS = 300;
/** A host is gone when it has missed this many announcements. */
const MISSED_ANNOUNCEMENTS = 2;

/** What one run over the peers found. */
export interface PeerGarbage {
  /** To be deleted now. */
  readonly expired: readonly Peer[];
  /** To be marked Leave now, and deleted by the next run. */
  readonly leaving: readonly Peer[];
}

/** Sorts out peers; changes nothing. */
export function findPeerGarbage(resources: Resources, limits: GarbageLimits, nowMs: number): PeerGarbage {
  const expired: Peer[] = [];
  const leaving: Peer[] = [];
  const spare = new Map<Task, number>();
  for (const peer of resources.peers.values()) {
    if (peer.state === 'Leave') {
      expired.push(peer);
      continue;
    }
    const surplus = spare.get(peer.task) ?? peer.task.peers.size - CROWDED_TASK_PEERS;
    if (surplus > 0 && peer.state === 'Succeeded' && hasNoEdges(peer)) {
      expired.push(peer);
      spare.set(peer.task, surplus - 1);
    } else if (isLeaving(peer, limits, nowMs)) {
      leaving.push(peer);
    }
  }
  return { expired, leaving };
}

function isLeaving(peer: Peer, limits: GarbageLimits, nowMs: number): boolean {
  if (peer.state === 'Failed') return true;
  // A peer that still reports finishes first: taking it away under its feet would fail its last report.
  if (peer.host.facts.isSharingDisabled && (peer.isDone || !peer.isAttached)) return true;
  if (
    (peer.state === 'Running' || peer.state === 'BackToSource') &&
    nowMs - peer.pieceUpdatedAtMs > limits.pieceDownloadTimeoutMs
  ) {
    return true;
  }
  // Nothing can be heard from it any more, and it has nothing to give.
  if (!peer.isAttached && !peer.isDone && nowMs - peer.updatedAtMs > limits.pieceDownloadTimeoutMs) return true;
  return nowMs - peer.updatedAtMs > limits.peerTtlMs || nowMs - peer.host.updatedAtMs > limits.hostTtlMs;
}

function hasNoEdges(peer: Peer): boolean {
  return peer.parents.length === 0 && peer.children === undefined;
}

/** Tasks without peers. */
export function findTaskGarbage(resources: Resources): readonly Task[] {
  return [...resources.tasks.values(), ...resources.cacheTasks.values()].filter((task) => task.peers.size === 0);
}

/** Hosts that have missed two announcements; one that names no interval never expires. */
export function findHostGarbage(resources: Resources, nowMs: number): readonly Host[] {
  return [...resources.hosts.values()].filter(
    (host) => host.announceIntervalMs > 0 && nowMs - host.updatedAtMs > host.announceIntervalMs * MISSED_ANNOUNCEMENTS,
  );
}
