import type { OriginalFigures } from './figures.js';
import type { PeerRow } from './resources.js';
import type { PeerState } from './states.js';

/** Nobody is sent to a peer in one of these. */
const BAD_STATES: ReadonlySet<PeerState> = new Set([
  'Failed',
  'Leave',
  'Pending',
  'ReceivedTiny',
  'ReceivedSmall',
  'ReceivedNormal',
  'ReceivedEmpty',
]);
/** A peer whose last piece took so many times the mean of those before is bad. */
const COST_FACTOR = 20;
/** Most parts of a location that are compared. */
const LOCATION_DEPTH = 5;

export function isBad(peer: PeerRow): boolean {
  if (BAD_STATES.has(peer.state)) return true;
  const last = peer.costs.at(-1);
  if (last === undefined || peer.costs.length < 2) return false;
  const before = peer.costs.slice(0, -1);
  return last > (COST_FACTOR * before.reduce((sum, cost) => sum + cost, 0)) / before.length;
}

/** Whether a peer could get its pieces from another one. */
function isCandidate(peer: PeerRow, parent: PeerRow): boolean {
  if (peer.blocked.has(parent.id) || parent.host.host.disableShared || parent.host === peer.host) return false;
  const hasContent = parent.state === 'BackToSource' || parent.state === 'Succeeded';
  if (!parent.host.isSeed && parent.parents.size === 0 && !hasContent) return false;
  return !isBad(parent) && !peer.isAncestorOf(parent) && !peer.parents.has(parent);
}

/**
 * Parents for a peer, best first. Of the original's score the terms of data centre, location and host type; that of load is
 * left out, it decides the order of parents and not who is one.
 */
export function selectCandidates(peer: PeerRow, figures: OriginalFigures, random: () => number): PeerRow[] {
  if (peer.state !== 'ReceivedNormal' && peer.state !== 'Running') return [];
  const sample = [...peer.task.peers.values()]
    .map((row) => ({ row, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, figures.filterParentLimit)
    .map(({ row }) => row);
  return sample
    .filter((parent) => isCandidate(peer, parent))
    .map((parent) => ({ parent, score: scoreOf(peer, parent) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, figures.candidateParentLimit)
    .map(({ parent }) => parent);
}

function scoreOf(peer: PeerRow, parent: PeerRow): number {
  const own = peer.host.host.network;
  const other = parent.host.host.network;
  const isSameIdc = !!own?.idc && own.idc.toLowerCase() === other?.idc?.toLowerCase();
  const type = parent.host.isSeed ? Number(parent.state === 'Running') : 0.5;
  return 0.2 * Number(isSameIdc) + 0.1 * locationAffinity(own?.location, other?.location) + 0.1 * type;
}

/** In [0, 1]; `a|b|c` from the outermost place inwards. */
export function locationAffinity(one: string | undefined, other: string | undefined): number {
  if (!one || !other) return 0;
  const [a, b] = [one, other].map((text) => text.toLowerCase().split('|').slice(0, LOCATION_DEPTH)) as [
    string[],
    string[],
  ];
  if (one.toLowerCase() === other.toLowerCase()) return 1;
  const firstDifference = a.findIndex((part, index) => part !== b[index]);
  return (firstDifference < 0 ? a.length : firstDifference) / LOCATION_DEPTH;
}
