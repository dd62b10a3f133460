import type { Priority } from './priority.js';
import type { PeerState } from './states.js';

/** The version of {@link Strategy} that this scheduler speaks. */
export const STRATEGY_API_VERSION = 1;

/** What a strategy may look at of a host. */
export interface ScoredHost {
  readonly id: string;
  /** An integer of this host with these facts; another one as soon as the facts change. For tables of what follows from them. */
  readonly version: number;
  readonly facts: {
    readonly isSeed: boolean;
    readonly idc: string;
    readonly location: string;
    readonly maxTxBitsPerSecond: number;
  };
  readonly concurrentUploadCount: number;
  readonly uploadCount: number;
  readonly uploadFailedCount: number;
  /** Sum of the peaks of its children in bits per second. */
  readonly txBits: number;
  readonly concurrentUploadPieceCount: number;
  readonly uploadContentBytes: number;
}

/** What a strategy may look at of a peer. */
export interface ScoredPeer {
  readonly id: string;
  readonly state: PeerState;
  readonly priority: Priority;
  readonly host: ScoredHost;
  readonly concurrentPieceCount: number;
  readonly pieces: { readonly size: number };
  readonly task: { readonly id: string; readonly pieceCount: number; readonly contentLengthBytes: number | undefined };
}

/**
 * Ranks candidate parents. Pure and synchronous: same input, same output, no I/O, nothing changed.
 *
 * Candidates have passed all filters already; a strategy cannot bring one back and cannot drop one.
 */
export interface Strategy {
  readonly name: string;
  /** Must be {@link STRATEGY_API_VERSION}; checked when a strategy is loaded. */
  readonly apiVersion: number;
  /**
   * @param nowMs milliseconds since the epoch
   * @returns a finite score for every candidate, in their order; higher is better
   */
  score(child: ScoredPeer, candidates: readonly ScoredPeer[], nowMs: number): readonly number[];
  /**
   * Told of every piece that a child got, or failed to get, from a parent. This is the only place where a strategy may
   * learn: what it has learnt so far counts as part of the input of `score`.
   */
  observe?(observation: PieceObservation): void;
}

/** One piece as a child reported it. */
export interface PieceObservation {
  readonly child: ScoredPeer;
  readonly parent: ScoredPeer;
  readonly isSuccess: boolean;
  /** 0 for a failure. */
  readonly lengthBytes: number;
  /** What the child measured for the piece; 0 for a failure, or when it measured nothing. */
  readonly costMs: number;
  /** When the report arrived, milliseconds since the epoch. */
  readonly nowMs: number;
}

const WEIGHT = { load: 0.6, idc: 0.2, location: 0.1, hostType: 0.1 } as const;
const LOAD_WEIGHT = { peak: 0.5, duration: 0.3, concurrency: 0.2 } as const;

/** Seconds over which a host is expected to send what its children want. */
const UPLOAD_WINDOW_SECONDS = 60;
/** Bytes a second that one concurrent piece is worth. */
const BYTES_PER_CONCURRENT_PIECE = 16 * 1024 * 1024;
/** Location elements that count. */
const MAX_LOCATION_ELEMENTS = 5;
const NORMAL_HOST_SCORE = 0.5;
const SEPARATOR = '|'.charCodeAt(0);
const LAST_ASCII = 127;
/** By which upper and lower case of ASCII differ. */
const CASE_BIT = 0x20;
const LETTER_A = 'a'.charCodeAt(0);
const LETTER_Z = 'z'.charCodeAt(0);

/** The scoring of Dragonfly's scheduler: load, data centre, location, host type; each in [0, 1]. */
export const defaultStrategy: Strategy = {
  name: 'default',
  apiVersion: STRATEGY_API_VERSION,
  score: (child, candidates) => {
    const scores = new Array<number>(candidates.length);
    for (let index = 0; index < candidates.length; index++) {
      const parent = candidates[index];
      scores[index] = parent === undefined ? 0 : score(child, parent);
    }
    return scores;
  },
};

function score(child: ScoredPeer, parent: ScoredPeer): number {
  return (
    WEIGHT.load * loadScore(parent.host) +
    WEIGHT.idc * idcScore(parent.host.facts.idc, child.host.facts.idc) +
    WEIGHT.location * locationScore(parent.host.facts.location, child.host.facts.location) +
    WEIGHT.hostType * hostTypeScore(parent)
  );
}

/** How much of its bandwidth a host has left; 0 when it does not say how much it has. */
export function loadScore(host: ScoredHost): number {
  const max = host.facts.maxTxBitsPerSecond;
  if (max <= 0) return 0;
  return (
    LOAD_WEIGHT.peak * peakScore(host, max) +
    LOAD_WEIGHT.duration * durationScore(host, max) +
    LOAD_WEIGHT.concurrency * concurrencyScore(host, max)
  );
}

function peakScore(host: ScoredHost, max: number): number {
  return host.txBits >= max ? 0 : 1 - host.txBits / max;
}

function durationScore(host: ScoredHost, max: number): number {
  const ratio = (host.uploadContentBytes * 8) / max / UPLOAD_WINDOW_SECONDS;
  return ratio >= 1 ? 0 : 1 - ratio;
}

function concurrencyScore(host: ScoredHost, max: number): number {
  const pieces = max / BYTES_PER_CONCURRENT_PIECE / 8;
  if (pieces <= 1) return 0;
  const ratio = host.concurrentUploadPieceCount / pieces;
  return ratio <= 1 ? 1 : 1 / ratio;
}

/** 1 when both are known and equal, case aside. */
export function idcScore(parent: string, child: string): number {
  return parent !== '' && equalsIgnoringCase(parent, child) ? 1 : 0;
}

/** Equal leading elements of the two locations, at most five, as a part of five; 1 when the whole is equal. */
export function locationScore(parent: string, child: string): number {
  if (parent === '' || child === '') return 0;
  if (equalsIgnoringCase(parent, child)) return 1;
  return equalLeadingElements(parent, child) / MAX_LOCATION_ELEMENTS;
}

/** From the end, where names of one place differ; without making a text, as below. */
function equalsIgnoringCase(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  for (let index = left.length - 1; index >= 0; index--) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b && !isSameLetter(a, b)) return false;
  }
  return true;
}

/** Compares in place, without making a text: this runs for every candidate of every decision. */
function equalLeadingElements(left: string, right: string): number {
  let equal = 0;
  for (let index = 0; ; index++) {
    // The end of a location ends its last element.
    const a = index < left.length ? left.charCodeAt(index) : SEPARATOR;
    const b = index < right.length ? right.charCodeAt(index) : SEPARATOR;
    if (a !== b && !isSameLetter(a, b)) return equal;
    if (a !== SEPARATOR) continue;
    equal += 1;
    if (equal === MAX_LOCATION_ELEMENTS || index >= left.length || index >= right.length) return equal;
  }
}

function isSameLetter(a: number, b: number): boolean {
  if (a > LAST_ASCII || b > LAST_ASCII) {
    return String.fromCharCode(a).toLowerCase() === String.fromCharCode(b).toLowerCase();
  }
  const letter = a | CASE_BIT;
  return letter === (b | CASE_BIT) && letter >= LETTER_A && letter <= LETTER_Z;
}

function hostTypeScore(parent: ScoredPeer): number {
  if (!parent.host.facts.isSeed) return NORMAL_HOST_SCORE;
  return parent.state === 'ReceivedNormal' || parent.state === 'Running' ? 1 : 0;
}
