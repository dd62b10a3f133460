import { idcScore, locationScore } from '@dragonfly/scheduling';
import type { DurablePeer } from './durable-records.js';

/** A peer with what is known of its host. */
export interface PlacedPeer {
  readonly peer: DurablePeer;
  readonly host: DurableHost;
}

/** What the choice of parents looks at of a host. */
export interface DurableHost {
  readonly id: string;
  readonly isSharingDisabled: boolean;
  readonly idc: string;
  readonly location: string;
}

const WEIGHT = { idc: 0.7, location: 0.3 } as const;

/**
 * Chooses parents for a peer of a durable task: those that have, or are getting, the content, nearest first.
 * @param blocked parents that the child does not want again
 * @returns at most `limit`, possibly none
 */
export function selectDurableParents(
  child: PlacedPeer,
  candidates: readonly PlacedPeer[],
  blocked: ReadonlySet<string>,
  limit: number,
): PlacedPeer[] {
  return candidates
    .filter(
      ({ peer, host }) =>
        peer.id !== child.peer.id &&
        host.id !== child.host.id &&
        !blocked.has(peer.id) &&
        !host.isSharingDisabled &&
        hasSomething(peer),
    )
    .map((candidate) => ({ candidate, score: affinity(candidate.host, child.host) }))
    .sort((left, right) => right.score - left.score)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** A running peer counts from its first piece on: two that have none would wait for each other. */
function hasSomething(peer: DurablePeer): boolean {
  return peer.state === 'Succeeded' || (peer.state === 'Running' && peer.pieces.size > 0);
}

function affinity(parent: DurableHost, child: DurableHost): number {
  return (
    WEIGHT.idc * idcScore(parent.idc, child.idc) + WEIGHT.location * locationScore(parent.location, child.location)
  );
}
