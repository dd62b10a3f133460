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
 * Of the peers that are drawn from, as many are exchanged as the answer names, so that each is given about one child before
 * its place is another's, and one for so many draws: seldom enough not to matter for what a decision costs.
 */
const DRAWS_PER_RENEWAL = 128;
/** Descendants of a child that are looked up, so that a decision costs the same whatever hangs below the child. */
const MAX_DESCENDANTS = 1000;

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
  const isDescendant = descendantCheck(child);
  const good: Peer[] = [];
  const poor = new Set<Peer>();
  const looks = limits.filterParentLimit * MAX_LOOKS_PER_SCORED;
  let place = 0;
  let isRenewed = false;
  let peer = task.drawOfferable(place, random);
  for (let look = 0; look < looks && peer !== undefined; look++) {
    const isUsable = canBeParent(peer, child) && !isDescendant(peer);
    // That it can serve was looked at above.
    const isGood = isUsable && !peer.costs.isLastAnOutlier() && !isAtUploadLimit(peer, limits);
    if (isGood) good.push(peer);
    else if (isUsable) poor.add(peer);
    if (good.length >= limits.filterParentLimit) break;
    // One that is no good gives its place up, if there are others than those that are drawn from; once for each place,
    // so that all are looked at in the end.
    peer = isGood || isRenewed ? undefined : task.renewOfferable(place, random);
    isRenewed = peer !== undefined;
    peer ??= task.drawOfferable(++place, random);
  }
  const renewals = Math.max(limits.candidateParentLimit, good.length / DRAWS_PER_RENEWAL);
  for (let index = 0; index < Math.min(renewals, good.length); index++) task.renewOfferable(index, random);
  const candidates = good.length > 0 ? good : [...poor].slice(0, limits.filterParentLimit);
  if (candidates.length <= 1) return candidates;
  return best(candidates, scoresOf(child, candidates, strategy, nowMs), limits.candidateParentLimit);
}

/**
 * Tells whether a candidate has the child as an ancestor. Descendants are looked up only when a candidate may be one, and
 * not more than {@link MAX_DESCENDANTS}: of a child with more, every peer below its level counts as one.
 */
function descendantCheck(child: Peer): (candidate: Peer) => boolean {
  if (child.children === undefined) return () => false;
  let descendants: ReadonlySet<Peer> | undefined;
  let isLookedUp = false;
  return (candidate) => {
    if (candidate.level <= child.level) return false;
    if (!isLookedUp) {
      descendants = child.task.descendantsOf(child, MAX_DESCENDANTS);
      isLookedUp = true;
    }
    return descendants?.has(candidate) ?? true;
  };
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

/**
 * The candidates with the highest scores, best first; of equal ones the earlier first. Only the few that are wanted are
 * kept in order, so that the cost is that of one pass.
 */
function best(candidates: readonly Peer[], scores: readonly number[], count: number): Peer[] {
  const chosen: number[] = [];
  for (let index = 0; index < candidates.length; index++) {
    const score = scores[index] ?? 0;
    if (chosen.length === count && score <= (scores[chosen[count - 1] ?? 0] ?? 0)) continue;
    if (chosen.length === count) chosen.pop();
    let place = chosen.length;
    while (place > 0 && score > (scores[chosen[place - 1] ?? 0] ?? 0)) place -= 1;
    chosen.splice(place, 0, index);
  }
  return chosen.flatMap((index) => candidates[index] ?? []);
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
