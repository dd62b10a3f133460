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

export interface AdaptiveOptions {
  /** Time in which an observation loses half its weight. @default 10 minutes */
  readonly halfLifeMs?: number;
  /** Hosts that are remembered, in each of the roles parent and child. @default 100,000 */
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
/** Two numbers below it make one that is exact: 2^26 squared is 2^52. */
const KEY_BASE = 2 ** 26;
const RANGE = 2 ** 32;
/** In place of a number: of a host of which nothing was ever told, and of a data centre without a name. */
const UNKNOWN_HOST = 0;
const NO_IDC = 0;

/** A parent or a child, with the keys of what is known of it. */
interface Side {
  readonly host: ScoredHost;
  readonly number: number;
  readonly idc: number;
}

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
 * **Bounds.** What is known halves every half-life; tables hold a fixed number of entries (`EffectTable`).
 * `score` changes nothing, and its chance is a hash of child, time and seed: a run can be repeated.
 */
export class AdaptiveStrategy implements Strategy {
  readonly name = 'adaptive';
  readonly apiVersion = STRATEGY_API_VERSION;
  readonly #options: Required<AdaptiveOptions>;
  readonly #mean: EffectTable<number>;
  readonly #parents: EffectTable<number>;
  readonly #children: EffectTable<number>;
  readonly #links: EffectTable<number>;
  readonly #pairs: EffectTable<number>;
  readonly #parentFailures: FailureTable<number>;
  readonly #pairFailures: FailureTable<number>;
  /** Numbers for names: a table is looked into far faster by a number, and a pair has one of its own. */
  readonly #hostNumbers = new Map<string, number>();
  readonly #idcNumbers = new Map<string, number>();
  #lastHostNumber = 0;

  constructor(options: AdaptiveOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    const { halfLifeMs, maxHosts, maxPairs } = this.#options;
    this.#mean = new EffectTable(1, halfLifeMs, PRIOR_VARIANCE.mean);
    this.#parents = new EffectTable(maxHosts, halfLifeMs, PRIOR_VARIANCE.parent);
    this.#children = new EffectTable(maxHosts, halfLifeMs, PRIOR_VARIANCE.child);
    this.#links = new EffectTable(MAX_LINKS, halfLifeMs, PRIOR_VARIANCE.link);
    this.#pairs = new EffectTable(maxPairs, halfLifeMs, PRIOR_VARIANCE.pair);
    this.#parentFailures = new FailureTable(maxHosts, halfLifeMs, PRIOR_TRIES);
    // Failures are rare: only pairs that have seen one are remembered.
    this.#pairFailures = new FailureTable(Math.max(1, Math.floor(maxPairs / 10)), halfLifeMs, PRIOR_TRIES);
  }

  /** Entries of all tables together. */
  get entryCount(): number {
    const tables = [this.#parents, this.#children, this.#links, this.#pairs, this.#parentFailures, this.#pairFailures];
    return tables.reduce((sum, table) => sum + table.size, 0);
  }

  score(child: ScoredPeer, candidates: readonly ScoredPeer[], nowMs: number): number[] {
    const to = this.#sideOf(child.host);
    const scores = new Array<number>(candidates.length);
    for (let index = 0; index < candidates.length; index++) {
      const parent = candidates[index];
      scores[index] = parent === undefined ? 0 : this.#score(to, parent, nowMs);
    }
    if (this.#explores(child, nowMs)) this.#promoteLeastKnown(candidates, scores, nowMs);
    return scores;
  }

  observe({ child, parent, isSuccess, lengthBytes, costMs, nowMs }: PieceObservation): void {
    this.#number(parent.host.id);
    this.#number(child.host.id);
    const from = this.#sideOf(parent.host);
    const to = this.#sideOf(child.host);
    const pair = pairOf(from, to);
    this.#parentFailures.add(from.number, !isSuccess, nowMs);
    if (!isSuccess || this.#pairFailures.has(pair)) this.#pairFailures.add(pair, !isSuccess, nowMs);
    if (!isSuccess || !(lengthBytes > 0 && lengthBytes < Infinity && costMs > 0 && costMs < Infinity)) return;
    const seen = Math.log((lengthBytes / costMs) * Math.max(1, parent.host.concurrentUploadCount));
    const expected = this.#mean.deviation(MEAN, nowMs) + this.#childEffect(to, nowMs) + this.#effects(from, to, nowMs);
    const surprise = this.#mean.size === 0 ? seen - expected : bounded(seen - expected, MAX_SURPRISE);
    const link = linkOf(from, to);
    const variance =
      this.#mean.variance(MEAN, nowMs) +
      this.#parents.variance(from.number, nowMs) +
      this.#children.variance(to.number, nowMs) +
      this.#links.variance(link, nowMs) +
      this.#pairs.variance(pair, nowMs) +
      NOISE_VARIANCE;
    correct(this.#mean, MEAN, surprise, variance, nowMs);
    correct(this.#parents, from.number, surprise, variance, nowMs);
    correct(this.#children, to.number, surprise, variance, nowMs);
    correct(this.#links, link, surprise, variance, nowMs);
    correct(this.#pairs, pair, surprise, variance, nowMs);
  }

  /**
   * The throughput of one piece from one host to another, as the model sees it.
   * @param sharedBy children that fetch from the parent at once
   * @returns bytes a second; `undefined` before the first observation
   */
  predictBytesPerSecond(parent: ScoredHost, child: ScoredHost, sharedBy: number, nowMs: number): number | undefined {
    if (this.#mean.size === 0) return undefined;
    const from = this.#sideOf(parent);
    const to = this.#sideOf(child);
    const logRate = this.#mean.deviation(MEAN, nowMs) + this.#effects(from, to, nowMs) + this.#childEffect(to, nowMs);
    return (Math.exp(logRate) * 1000) / Math.max(1, sharedBy);
  }

  #score(to: Side, parent: ScoredPeer, nowMs: number): number {
    const from = this.#sideOf(parent.host);
    const ofParent = this.#parentFailures.share(from.number, PRIOR_FAILURE_SHARE, nowMs);
    const ofPair =
      this.#pairFailures.size === 0 ? ofParent : this.#pairFailures.share(pairOf(from, to), ofParent, nowMs);
    const failureShare = Math.min(MAX_FAILURE_SHARE, ofPair);
    return (
      this.#effects(from, to, nowMs) -
      Math.log((1 + parent.host.concurrentUploadCount) * (1 + (FAILURE_COST * failureShare) / (1 - failureShare))) -
      (isRemote(from, to) ? REMOTE_PENALTY : 0) -
      LOCATION_PENALTY * (1 - locationOf(from.host, to.host)) +
      AVAILABILITY_EXPONENT * logAvailability(parent)
    );
  }

  /** What depends on the parent; mean and child effect are the same for all candidates of one child. */
  #effects(from: Side, to: Side, nowMs: number): number {
    return (
      parentPriorOf(from.host) +
      this.#parents.deviation(from.number, nowMs) +
      (isRemote(from, to) ? PRIOR_REMOTE_LINK : 0) +
      this.#links.deviation(linkOf(from, to), nowMs) +
      this.#pairs.deviation(pairOf(from, to), nowMs)
    );
  }

  #childEffect(to: Side, nowMs: number): number {
    return this.#children.deviation(to.number, nowMs);
  }

  #sideOf(host: ScoredHost): Side {
    return { host, number: this.#hostNumbers.get(host.id) ?? UNKNOWN_HOST, idc: this.#idcNumber(host.facts.idc) };
  }

  /** Gives the host a number, if it has none. */
  #number(id: string): void {
    if (this.#hostNumbers.has(id)) return;
    // Hosts that are still there get new numbers; what was learnt of the old ones ages out.
    if (this.#hostNumbers.size >= 2 * this.#options.maxHosts) this.#hostNumbers.clear();
    this.#lastHostNumber = (this.#lastHostNumber % (KEY_BASE - 1)) + 1;
    this.#hostNumbers.set(id, this.#lastHostNumber);
  }

  /** Beyond the bound all are one. A cache: what `score` answers does not depend on who was asked about first. */
  #idcNumber(idc: string): number {
    if (idc === '') return NO_IDC;
    const known = this.#idcNumbers.get(idc);
    if (known !== undefined) return known;
    const lower = idc.toLowerCase();
    const number = this.#idcNumbers.get(lower) ?? this.#idcNumbers.size + 1;
    if (this.#idcNumbers.size >= MAX_LINKS) return NO_IDC;
    this.#idcNumbers.set(lower, number).set(idc, number);
    return number;
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
      const upper =
        score +
        OPTIMISM * Math.sqrt(this.#parents.variance(this.#hostNumbers.get(candidate.host.id) ?? UNKNOWN_HOST, nowMs));
      if (upper > bound) [bound, chosen] = [upper, index];
    }
    if (chosen < 0 || (scores[chosen] ?? 0) >= second) return;
    scores[chosen] = (first + second) / 2;
  }
}

/** One effect's part of a surprise: its share of the whole uncertainty. */
function correct<Key>(table: EffectTable<Key>, key: Key, surprise: number, variance: number, nowMs: number): void {
  const own = table.variance(key, nowMs);
  const gain = own / variance;
  table.set(key, table.deviation(key, nowMs) + gain * surprise, own * (1 - gain), nowMs);
}

function pairOf(from: Side, to: Side): number {
  return from.number * KEY_BASE + to.number;
}

function linkOf(from: Side, to: Side): number {
  return from.idc * KEY_BASE + to.idc;
}

/** Both say where they are, and it is not the same place. */
function isRemote(from: Side, to: Side): boolean {
  return from.idc !== to.idc && from.idc !== NO_IDC && to.idc !== NO_IDC;
}

function locationOf(parent: ScoredHost, child: ScoredHost): number {
  const { location } = parent.facts;
  if (location === '' || child.facts.location === '') return 1;
  return location === child.facts.location ? 1 : locationScore(location, child.facts.location);
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
