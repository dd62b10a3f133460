import type { Peer } from './task.js';
import { defaultStrategy, type Strategy } from './strategy.js';

/** Bounds of one choice of parents. */
export interface CandidateLimits {
  /** Parents that one answer names. */
  readonly candidateParentLimit: number;
  /** Peers that are scored for one answer. */
  readonly filterParentLimit: number;
  /** Children a normal host may have at once before others are preferred. */
  readonly peerUploadLimit: number;
  /** The same of a seed. */
  readonly seedUploadLimit: number;
}

/** Peers that are looked at for each one that is scored; bounds the work when most of them cannot be used. */
const MAX_LOOKS_PER_SCORED = 8;

/**
 * Chooses parents for a peer that has none: a random sample of the task's offerable peers, filtered, scored, best first.
 *
 * Hosts at their upload limit, and peers whose last piece took suspiciously long, are only taken when no other candidate
 * is left: a second-rate parent is still better for everybody than another reader at the source.
 * @param random uniform in [0, 1)
 * @returns at most `candidateParentLimit` peers, possibly none; no edge is drawn
 */
export function selectParents(
  child: Peer,
  limits: CandidateLimits,
  strategy: Strategy,
  nowMs: number,
  random: () => number,
): Peer[] {
  const { task } = child;
  const descendants = child.children === undefined ? undefined : task.descendantsOf(child);
  const good: Peer[] = [];
  const poor: Peer[] = [];
  let looks = limits.filterParentLimit * MAX_LOOKS_PER_SCORED;
  for (const peer of task.sampleOfferable(random)) {
    if (looks-- <= 0) break;
    if (!canBeParent(peer, child) || descendants?.has(peer) === true) continue;
    (isBadNode(peer) || isAtUploadLimit(peer, limits) ? poor : good).push(peer);
    if (good.length >= limits.filterParentLimit) break;
  }
  const candidates = good.length > 0 ? good : poor.slice(0, limits.filterParentLimit);
  if (candidates.length <= 1) return candidates;
  return rank(child, candidates, strategy, nowMs).slice(0, limits.candidateParentLimit);
}

/** The filters that look at one pair only; the graph's rule (no cycle) is not among them. */
export function canBeParent(parent: Peer, child: Peer): boolean {
  return (
    parent !== child &&
    parent.host !== child.host &&
    !child.hasBlocked(parent.id) &&
    !parent.host.facts.isSharingDisabled &&
    canServe(parent)
  );
}

/**
 * Whether a peer is in a state to serve others. A registered peer that was just given parents is: its download begins
 * within milliseconds.
 */
export function canServe(peer: Peer): boolean {
  switch (peer.state) {
    case 'Running':
    case 'BackToSource':
    case 'Succeeded':
      return true;
    case 'ReceivedNormal':
      return peer.parents.length > 0;
    case 'Pending':
    case 'ReceivedEmpty':
    case 'ReceivedTiny':
    case 'ReceivedSmall':
    case 'Failed':
    case 'Leave':
      return false;
  }
}

/** Whether a peer cannot serve, or its last piece took far longer than the others. */
export function isBadNode(peer: Peer): boolean {
  return !canServe(peer) || peer.costs.isLastAnOutlier();
}

function isAtUploadLimit(peer: Peer, limits: CandidateLimits): boolean {
  const limit = peer.host.facts.isSeed ? limits.seedUploadLimit : limits.peerUploadLimit;
  return peer.host.concurrentUploadCount >= limit;
}

function rank(child: Peer, candidates: readonly Peer[], strategy: Strategy, nowMs: number): Peer[] {
  const scores = scoresOf(child, candidates, strategy, nowMs);
  return candidates
    .map((peer, index) => ({ peer, score: scores[index] ?? 0 }))
    .sort((left, right) => right.score - left.score)
    .map(({ peer }) => peer);
}

/** A strategy that throws or answers nonsense must not stop downloads: the default takes its place for this choice. */
function scoresOf(child: Peer, candidates: readonly Peer[], strategy: Strategy, nowMs: number): readonly number[] {
  if (strategy === defaultStrategy) return defaultStrategy.score(child, candidates, nowMs);
  let scores: readonly number[] | undefined;
  try {
    scores = strategy.score(child, candidates, nowMs);
  } catch {
    scores = undefined; // Judged below like any other unusable answer.
  }
  const isUsable = scores?.length === candidates.length && scores.every((value) => Number.isFinite(value));
  return isUsable && scores !== undefined ? scores : defaultStrategy.score(child, candidates, nowMs);
}
