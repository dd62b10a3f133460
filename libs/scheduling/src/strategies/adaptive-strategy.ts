import { hash32 } from '../hash32.js';
import {
  locationScore,
  type PieceObservation,
  type ScoredHost,
  type ScoredPeer,
  type Strategy,
  STRATEGY_API_VERSION,
} from '../strategy.js';
import { EffectTable } from './effect-table.js';
import { FailureTable } from './failure-table.js';
import { type Belief, KnownHosts, SERIAL_BASE } from './known-hosts.js';
import { KnownPairs } from './known-pairs.js';
import { PreparedParents } from './prepared-parents.js';
import { type KnownPlace, KnownPlaces, NO_IDC, UNNUMBERED } from './known-places.js';

export interface AdaptiveOptions {
  /** Time in which an observation loses half its weight. @default 10 minutes */
  readonly halfLifeMs?: number;
  /** Hosts that are remembered, as parents and children. @default 100,000, some 25 MB */
  readonly maxHosts?: number;
  /** Pairs of hosts that are remembered. @default 200,000, some 20 MB */
  readonly maxPairs?: number;
  /** Share of the decisions in which one parent is tried out. @default 0.1 */
  readonly explorationShare?: number;
  /** @default 0 */
  readonly seed?: number;
}

const DEFAULTS = {
  halfLifeMs: 10 * 60_000,
  maxHosts: 100_000,
  maxPairs: 200_000,
  explorationShare: 0.1,
  seed: 0,
} satisfies Required<AdaptiveOptions>;

/** The only key of the table that holds the overall mean. */
const MEAN = 0;
/** Pairs of data centres that are remembered. */
const MAX_LINKS = 4096;

/**
 * How far effects are expected to be from their priors, as variances of the logarithm: a parent host may well be e times
 * as fast as the next one; the mean may be anything.
 */
const PRIOR_VARIANCE = { mean: 25, parent: 1, child: 0.25, link: 0.25, pair: 0.25 } as const;
/** Variance of single pieces around what all effects explain. */
const NOISE_VARIANCE = 0.3;
/** Tries that the prior share of failures is worth. */
const PRIOR_TRIES = 5;

/** Share of pieces that fail at a parent of which nothing is known. */
const PRIOR_FAILURE_SHARE = 0.02;
/** A failed piece costs this many times what a piece costs: a timeout, and the way to another parent. */
const FAILURE_COST = 4;
/** Prior of the effect of a link between data centres: half the throughput. */
const PRIOR_REMOTE_LINK = Math.log(0.5);
/** Bytes between data centres cost money, however fast they are: a remote parent must promise 1.65 times as much. */
const REMOTE_PENALTY = 0.5;
/** What a location that differs in everything costs; within a data centre it stands for racks. */
const LOCATION_PENALTY = 0.3;
/** Announced bandwidth is believed by half, within a factor of e² either way: hosts may say anything. */
const ANNOUNCED_TRUST = 0.5;
const ANNOUNCED_REFERENCE_BITS = 1e9;
const ANNOUNCED_BOUND = 2;
/** How much a parent counts that has only part of the content: the exponent of that part. */
const AVAILABILITY_EXPONENT = 0.1;
/** A piece counts as at most this many powers of e off: one absurd cost is not to undo a hundred true ones. */
const MAX_SURPRISE = 3;
/** Standard deviations by which an uncertain parent is overestimated when it is decided whom to try out. */
const OPTIMISM = 1.5;
const MAX_FAILURE_SHARE = 0.99;
const RANGE = 2 ** 32;
/** Data centres and locations for which a decision computes its part of the score only once. */
const MAX_PLACES = 8192;
/** What has aged is computed anew so often in a half-life; a score is at most 1.1 % of what was learnt behind. */
const STEPS_PER_HALF_LIFE = 64;
/** Logarithms that are looked up: of 1 + the children of a host. */
const LOG_OF_ONE_MORE = Float64Array.from({ length: 256 }, (_, count) => Math.log(1 + count));

/**
 * Learns from piece reports how fast and how reliably each host serves each other one, and ranks parents by the rate
 * that one more child can expect.
 *
 * **Model.** The logarithm of a piece's throughput, times the children that share the parent at that moment, is a sum of
 * effects: overall mean + parent host + child host + link between their data centres + this pair of hosts, each normally
 * distributed around a prior. A piece corrects every effect in proportion to how uncertain it still is: a Kalman filter
 * that keeps variances and leaves out covariances (Kalman, "A new approach to linear filtering and prediction problems",
 * 1960; the additive model is that of baseline predictors, Koren, "Collaborative filtering with temporal dynamics", KDD
 * 2009). So a pair that was never seen is predicted from its parts, and a known one by itself. A failed piece counts in a
 * share of failures of the parent, and of the pair with the parent's as prior.
 *
 * **Score.** Logarithm of predicted throughput ÷ (children + 1), the rule of the shortest expected delay for servers of
 * unequal speed (Weinrib and Shenker, "Greed is not enough", INFOCOM 1988), less the expected cost of failures, a fixed
 * price of leaving the data centre, and something for content that is not complete.
 *
 * **Exploration.** In a share of the decisions the parent with the highest upper confidence bound (Auer, Cesa-Bianchi,
 * Fischer, "Finite-time analysis of the multiarmed bandit problem", 2002; what is known fades as in the discounted form of
 * Garivier and Moulines, 2011)
 * is put second. Its cost is bounded: the best known parent always stays first, and a child takes pieces from
 * whichever of its parents is quick.
 *
 * **Bounds.** What is known halves every half-life; tables hold a fixed number of entries (`KnownHosts`, `KnownPairs`).
 * `score` changes nothing that can be seen, and its chance is a hash of child, time and seed: a run can be repeated.
 *
 * **Cost.** A decision scores up to a thousand parents, of whom a cluster knows a hundred thousand. So what depends on the
 * parent alone is computed once in ten seconds or when something was learnt of it, what depends on places once a decision for each, and what is left for each
 * candidate is read from columns of numbers that lie beside each other.
 */
export class AdaptiveStrategy implements Strategy {
  readonly name = 'adaptive';
  readonly apiVersion = STRATEGY_API_VERSION;
  readonly #options: Required<AdaptiveOptions>;
  readonly #mean: EffectTable<number>;
  readonly #links: EffectTable<number>;
  readonly #hosts: KnownHosts;
  readonly #prepared = new PreparedParents();
  readonly #pairs: KnownPairs;
  readonly #pairFailures: FailureTable<number>;
  readonly #places = new KnownPlaces(MAX_LINKS, MAX_PLACES);
  /** What a place adds to the scores of the decision that is being made; of an earlier one where the number is another. */
  readonly #placeScores = new Float64Array(MAX_PLACES);
  readonly #placeDecisions = new Uint32Array(MAX_PLACES);
  #decision = 0;

  constructor(options: AdaptiveOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    const { halfLifeMs, maxHosts, maxPairs } = this.#options;
    this.#mean = new EffectTable(1, halfLifeMs, PRIOR_VARIANCE.mean);
    this.#links = new EffectTable(MAX_LINKS, halfLifeMs, PRIOR_VARIANCE.link);
    this.#hosts = new KnownHosts(maxHosts, halfLifeMs, {
      parentVariance: PRIOR_VARIANCE.parent,
      childVariance: PRIOR_VARIANCE.child,
      tries: PRIOR_TRIES,
    });
    this.#pairs = new KnownPairs(maxPairs, halfLifeMs, PRIOR_VARIANCE.pair);
    // Failures are rare: only pairs that have seen one are remembered.
    this.#pairFailures = new FailureTable(Math.max(1, Math.floor(maxPairs / 10)), halfLifeMs, PRIOR_TRIES);
  }

  /** Entries of all tables together. */
  get entryCount(): number {
    return [this.#hosts, this.#links, this.#pairs, this.#pairFailures].reduce((sum, { size }) => sum + size, 0);
  }

  score(child: ScoredPeer, candidates: readonly ScoredPeer[], nowMs: number): number[] {
    const stepMs = this.#options.halfLifeMs / STEPS_PER_HALF_LIFE;
    const atMs = Math.floor(nowMs / stepMs) * stepMs;
    this.#decision = (this.#decision + 1) >>> 0;
    const childPlace = this.#hosts.find(child.host.id);
    const childSerial = childPlace < 0 ? 0 : this.#hosts.serial(childPlace);
    const pairs = this.#pairs.ofChild(childSerial);
    const to = this.#places.placeOf(child.host.facts);
    const scores = new Array<number>(candidates.length);
    for (let index = 0; index < candidates.length; index++) {
      const parent = candidates[index];
      if (parent === undefined) continue;
      const { host } = parent;
      const found = this.#prepared.find(host.version, atMs);
      const row = found < 0 ? this.#prepare(host, atMs) : found;
      let score =
        this.#prepared.base(row) +
        this.#placeScore(this.#prepared.placeNumber(row), host, to, atMs) -
        logOfOneMore(host.concurrentUploadCount);
      if (pairs !== undefined) score += this.#pairs.deviation(pairs.get(this.#prepared.serial(row)), atMs);
      if (this.#prepared.hasFailed(row)) score += this.#pairFailureScore(host.id, childSerial, atMs);
      if (parent.state !== 'Succeeded') score += AVAILABILITY_EXPONENT * logAvailability(parent);
      scores[index] = score;
    }
    if (this.#explores(child, nowMs)) this.#promoteLeastKnown(candidates, scores, nowMs);
    return scores;
  }

  observe({ child, parent, isSuccess, lengthBytes, costMs, nowMs }: PieceObservation): void {
    const hosts = this.#hosts;
    const from = hosts.place(parent.host.id, nowMs);
    const to = hosts.place(child.host.id, nowMs);
    // In a very small table the one may have taken the place of the other.
    if (from === to) return;
    const [fromSerial, toSerial] = [hosts.serial(from), hosts.serial(to)];
    const failureKey = fromSerial * SERIAL_BASE + toSerial;
    this.#prepared.forget(parent.host.version);
    hosts.addTry(from, !isSuccess, nowMs);
    if (!isSuccess || this.#pairFailures.has(failureKey)) this.#pairFailures.add(failureKey, !isSuccess, nowMs);
    if (!isSuccess || !(lengthBytes > 0 && lengthBytes < Infinity && costMs > 0 && costMs < Infinity)) return;
    const seen = Math.log((lengthBytes / costMs) * Math.max(1, parent.host.concurrentUploadCount));
    const expected = this.#logRate(parent.host, child.host, nowMs);
    const surprise = this.#mean.size === 0 ? seen - expected : bounded(seen - expected, MAX_SURPRISE);
    const link = linkOf(this.#places.placeOf(parent.host.facts), this.#places.placeOf(child.host.facts));
    const pair = this.#pairs.ofChild(toSerial)?.get(fromSerial);
    const variances = {
      mean: this.#mean.variance(MEAN, nowMs),
      parent: hosts.parentVariance(from, nowMs),
      child: hosts.childVariance(to, nowMs),
      link: this.#links.variance(link, nowMs),
      pair: this.#pairs.variance(pair, nowMs),
    };
    const { mean, parent: ofParent, child: ofChild, link: ofLink, pair: ofPair } = variances;
    const variance = mean + ofParent + ofChild + ofLink + ofPair + NOISE_VARIANCE;
    /** One effect's part of the surprise: its share of the whole uncertainty. */
    const corrected = (deviation: number, own: number): Belief => {
      const gain = own / variance;
      return { deviation: deviation + gain * surprise, variance: own * (1 - gain) };
    };
    this.#mean.set(MEAN, corrected(this.#mean.deviation(MEAN, nowMs), mean), nowMs);
    hosts.setParent(from, corrected(hosts.parentDeviation(from, nowMs), ofParent), nowMs);
    hosts.setChild(to, corrected(hosts.childDeviation(to, nowMs), ofChild), nowMs);
    this.#links.set(link, corrected(this.#links.deviation(link, nowMs), ofLink), nowMs);
    this.#pairs.set(fromSerial, toSerial, corrected(this.#pairs.deviation(pair, nowMs), ofPair), nowMs);
  }

  /**
   * The throughput of one piece from one host to another, as the model sees it.
   * @param sharedBy children that fetch from the parent at once
   * @returns bytes a second; `undefined` before the first observation
   */
  predictBytesPerSecond(parent: ScoredHost, child: ScoredHost, sharedBy: number, nowMs: number): number | undefined {
    if (this.#mean.size === 0) return undefined;
    return (Math.exp(this.#logRate(parent, child, nowMs)) * 1000) / Math.max(1, sharedBy);
  }

  /** Sum of all effects: the logarithm of bytes per millisecond. */
  #logRate(parent: ScoredHost, child: ScoredHost, nowMs: number): number {
    const hosts = this.#hosts;
    const [from, to] = [hosts.find(parent.id), hosts.find(child.id)];
    const [fromPlace, toPlace] = [this.#places.placeOf(parent.facts), this.#places.placeOf(child.facts)];
    const pair = from < 0 || to < 0 ? undefined : this.#pairs.ofChild(hosts.serial(to))?.get(hosts.serial(from));
    return (
      this.#mean.deviation(MEAN, nowMs) +
      parentPriorOf(parent) +
      (from < 0 ? 0 : hosts.parentDeviation(from, nowMs)) +
      (to < 0 ? 0 : hosts.childDeviation(to, nowMs)) +
      (isRemote(fromPlace, toPlace) ? PRIOR_REMOTE_LINK : 0) +
      this.#links.deviation(linkOf(fromPlace, toPlace), nowMs) +
      this.#pairs.deviation(pair, nowMs)
    );
  }

  /** Computes what depends on the parent alone: its prior, its effect, its failures. */
  #prepare(host: ScoredHost, atMs: number): number {
    const hosts = this.#hosts;
    const slot = hosts.find(host.id);
    const isKnown = slot >= 0;
    const failureShare = isKnown ? hosts.failureShare(slot, PRIOR_FAILURE_SHARE, atMs) : PRIOR_FAILURE_SHARE;
    return this.#prepared.put(host.version, atMs, {
      base: parentPriorOf(host) + (isKnown ? hosts.parentDeviation(slot, atMs) : 0) - failureLog(failureShare),
      placeNumber: this.#places.numberOf(host.facts),
      serial: isKnown ? hosts.serial(slot) : 0,
      hasFailed: isKnown && hosts.hasFailed(slot),
    });
  }

  /** {@link #scoreOfPlace}, computed once a decision. */
  #placeScore(number: number, host: ScoredHost, to: KnownPlace, atMs: number): number {
    if (number === UNNUMBERED) return this.#scoreOfPlace(this.#places.placeOf(host.facts), to, atMs);
    if (this.#placeDecisions[number] !== this.#decision) {
      this.#placeDecisions[number] = this.#decision;
      this.#placeScores[number] = this.#scoreOfPlace(this.#places.placeOf(host.facts), to, atMs);
    }
    return this.#placeScores[number] ?? 0;
  }

  /** What depends on where parent and child are. */
  #scoreOfPlace(from: KnownPlace, to: KnownPlace, atMs: number): number {
    return (
      (isRemote(from, to) ? PRIOR_REMOTE_LINK - REMOTE_PENALTY : 0) +
      this.#links.deviation(linkOf(from, to), atMs) -
      LOCATION_PENALTY * (1 - locationOf(from.location, to.location))
    );
  }

  /** What is known of failures of this pair, in place of what is known of the parent's. */
  #pairFailureScore(parentId: string, childSerial: number, atMs: number): number {
    const slot = this.#hosts.find(parentId);
    if (slot < 0) return 0;
    const key = this.#hosts.serial(slot) * SERIAL_BASE + childSerial;
    if (!this.#pairFailures.has(key)) return 0;
    const ofParent = this.#hosts.failureShare(slot, PRIOR_FAILURE_SHARE, atMs);
    return failureLog(ofParent) - failureLog(this.#pairFailures.share(key, ofParent, atMs));
  }

  #explores(child: ScoredPeer, nowMs: number): boolean {
    const { explorationShare, seed } = this.#options;
    return hash32(`${child.id} ${nowMs}`, seed) / RANGE < explorationShare;
  }

  /** Puts the candidate with the highest upper confidence bound second, unless it is first anyway. */
  #promoteLeastKnown(candidates: readonly ScoredPeer[], scores: number[], nowMs: number): void {
    let first = -Infinity;
    let second = -Infinity;
    let bound = -Infinity;
    let chosen = -1;
    for (const [index, candidate] of candidates.entries()) {
      const score = scores[index] ?? 0;
      if (score > first) [first, second] = [score, first];
      else if (score > second) second = score;
      const slot = this.#hosts.find(candidate.host.id);
      const variance = slot < 0 ? PRIOR_VARIANCE.parent : this.#hosts.parentVariance(slot, nowMs);
      const upper = score + OPTIMISM * Math.sqrt(variance);
      if (upper > bound) [bound, chosen] = [upper, index];
    }
    if (chosen < 0 || (scores[chosen] ?? 0) >= second) return;
    scores[chosen] = (first + second) / 2;
  }
}

function linkOf(from: KnownPlace, to: KnownPlace): number {
  return from.idc * SERIAL_BASE + to.idc;
}

/** Both say where they are, and it is not the same place. */
function isRemote(from: KnownPlace, to: KnownPlace): boolean {
  return from.idc !== to.idc && from.idc !== NO_IDC && to.idc !== NO_IDC;
}

/** How much of the way from the widest to the narrowest both have in common; 1 when one of them does not say. */
function locationOf(parent: string, child: string): number {
  if (parent === '' || child === '') return 1;
  return parent === child ? 1 : locationScore(parent, child);
}

/** Logarithm of how many times as long a piece takes, with its failures. */
function failureLog(share: number): number {
  const failureShare = Math.min(MAX_FAILURE_SHARE, share);
  return Math.log(1 + (FAILURE_COST * failureShare) / (1 - failureShare));
}

function logOfOneMore(count: number): number {
  return LOG_OF_ONE_MORE[count] ?? Math.log(1 + count);
}

function parentPriorOf(parent: ScoredHost): number {
  const announced = parent.facts.maxTxBitsPerSecond;
  if (announced <= 0) return 0;
  return ANNOUNCED_TRUST * bounded(Math.log(announced / ANNOUNCED_REFERENCE_BITS), ANNOUNCED_BOUND);
}

function logAvailability(parent: ScoredPeer): number {
  const { pieceCount } = parent.task;
  if (parent.state === 'Succeeded' || pieceCount <= 0) return 0;
  return Math.log((Math.min(parent.pieces.size, pieceCount) + 1) / (pieceCount + 1));
}

function bounded(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value));
}
