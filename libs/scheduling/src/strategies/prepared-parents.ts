import { SERIAL_BASE } from './known-hosts.js';

/** Hosts that are remembered: a power of two. */
const CAPACITY = 2 ** 17;
const STRIDE = 4;
const VERSION = 0;
const AT_MS = 1;
const BASE = 2;
const WHO = 3;

/** What a decision needs to know of a parent, apart from the child. */
export interface PreparedParent {
  /** The part of the score that depends on the parent alone. */
  readonly base: number;
  /** Where it is; -1 and up. */
  readonly placeNumber: number;
  /** Of a known host, 1 and up; 0 of an unknown one. */
  readonly serial: number;
  readonly hasFailed: boolean;
}

/**
 * What was computed of parents, by the version of the host: half a line of the processor's cache each, found without a
 * search. A host whose place is another's by now is computed anew. 4 MiB, as far as they are written to.
 */
export class PreparedParents {
  readonly #rows = new Float64Array(CAPACITY * STRIDE);

  /** @returns where the parent's numbers are, for the other methods; -1 when they have to be computed for this time */
  find(version: number, atMs: number): number {
    const row = rowOf(version);
    return this.#rows[row + VERSION] === version && this.#rows[row + AT_MS] === atMs ? row : -1;
  }

  put(version: number, atMs: number, { base, placeNumber, serial, hasFailed }: PreparedParent): number {
    const row = rowOf(version);
    this.#rows[row + VERSION] = version;
    this.#rows[row + AT_MS] = atMs;
    this.#rows[row + BASE] = base;
    this.#rows[row + WHO] = ((placeNumber + 1) * 2 + (hasFailed ? 1 : 0)) * SERIAL_BASE + serial;
    return row;
  }

  /** What is known of the host has changed. */
  forget(version: number): void {
    const row = rowOf(version);
    if (this.#rows[row + VERSION] === version) this.#rows[row + VERSION] = 0;
  }

  base(row: number): number {
    return this.#rows[row + BASE] ?? 0;
  }

  placeNumber(row: number): number {
    return (this.#flags(row) >> 1) - 1;
  }

  hasFailed(row: number): boolean {
    return (this.#flags(row) & 1) === 1;
  }

  serial(row: number): number {
    return (this.#rows[row + WHO] ?? 0) % SERIAL_BASE;
  }

  #flags(row: number): number {
    return Math.floor((this.#rows[row + WHO] ?? 0) / SERIAL_BASE);
  }
}

function rowOf(version: number): number {
  return (version & (CAPACITY - 1)) * STRIDE;
}
