import { DfError } from '@dragonfly/errors';
import type { PieceRecord } from './task-types.js';

/** Most pieces of one task: 16 TiB in pieces of 4 MiB, about 110 MB of table. */
export const MAX_PIECES_PER_TASK = 1 << 22;
const INITIAL_CAPACITY = 16;
const MAX_U32 = 0xffffffff;

const ABSENT = 0;
const TRUSTED = 1;
const SUSPECT = 2;

export interface PieceEntry {
  readonly lengthBytes: number;
  readonly crc32: number;
  readonly parentId: string;
  readonly trafficType: number;
  readonly costMs: number;
  readonly createdAtMs: number;
}

/**
 * The finished pieces of one task in parallel arrays: 26 bytes a piece instead of an object each, so that a task of a
 * terabyte costs a few megabytes. Pure bookkeeping; nothing here touches a file.
 */
export class PieceTable {
  readonly #pieceLengthBytes: number;
  #states = new Uint8Array(INITIAL_CAPACITY);
  #lengths = new Uint32Array(INITIAL_CAPACITY);
  #crcs = new Uint32Array(INITIAL_CAPACITY);
  #parents = new Uint32Array(INITIAL_CAPACITY);
  #traffic = new Uint8Array(INITIAL_CAPACITY);
  #costs = new Uint32Array(INITIAL_CAPACITY);
  #created = new Float64Array(INITIAL_CAPACITY);
  /** One past the highest number ever present. */
  #end = 0;
  #count = 0;
  #suspectCount = 0;
  #bytes = 0;
  /** Index 0 is the source; a task has few parents, so their ids are kept once. */
  readonly #parentIds: string[] = [''];
  readonly #parentIndex = new Map<string, number>([['', 0]]);

  constructor(pieceLengthBytes: number) {
    this.#pieceLengthBytes = pieceLengthBytes;
  }

  get count(): number {
    return this.#count;
  }

  get suspectCount(): number {
    return this.#suspectCount;
  }

  /** Sum of the lengths of the finished pieces. */
  get totalBytes(): number {
    return this.#bytes;
  }

  /** One past the highest piece number that is or was present. */
  get end(): number {
    return this.#end;
  }

  has(number: number): boolean {
    return (this.#states[number] ?? ABSENT) !== ABSENT;
  }

  isSuspect(number: number): boolean {
    return this.#states[number] === SUSPECT;
  }

  /** Unsigned CRC-32 of a present piece; 0 for an absent one. */
  crc32Of(number: number): number {
    return this.#crcs[number] ?? 0;
  }

  lengthOf(number: number): number {
    return this.has(number) ? (this.#lengths[number] ?? 0) : 0;
  }

  get(number: number): PieceRecord | undefined {
    if (!this.has(number)) return undefined;
    return {
      number,
      offsetBytes: number * this.#pieceLengthBytes,
      lengthBytes: this.#lengths[number] ?? 0,
      digest: `crc32:${this.#crcs[number] ?? 0}`,
      parentId: this.#parentIds[this.#parents[number] ?? 0] ?? '',
      trafficType: this.#traffic[number] ?? 0,
      costMs: this.#costs[number] ?? 0,
      createdAtMs: this.#created[number] ?? 0,
    };
  }

  /** @throws DfError `invalid-argument` for a number past `MAX_PIECES_PER_TASK` */
  set(number: number, entry: PieceEntry): void {
    if (!Number.isInteger(number) || number < 0 || number >= MAX_PIECES_PER_TASK) {
      throw new DfError('invalid-argument', `piece number ${number}: must be below ${MAX_PIECES_PER_TASK}`);
    }
    this.delete(number);
    this.#grow(number + 1);
    this.#states[number] = TRUSTED;
    this.#lengths[number] = entry.lengthBytes;
    this.#crcs[number] = entry.crc32;
    this.#parents[number] = this.#internParent(entry.parentId);
    this.#traffic[number] = entry.trafficType;
    this.#costs[number] = Math.min(Math.max(0, Math.round(entry.costMs)), MAX_U32);
    this.#created[number] = entry.createdAtMs;
    this.#count += 1;
    this.#bytes += entry.lengthBytes;
    this.#end = Math.max(this.#end, number + 1);
  }

  delete(number: number): boolean {
    if (!this.has(number)) return false;
    this.trust(number);
    this.#states[number] = ABSENT;
    this.#count -= 1;
    this.#bytes -= this.#lengths[number] ?? 0;
    return true;
  }

  suspect(number: number): void {
    if (this.#states[number] !== TRUSTED) return;
    this.#states[number] = SUSPECT;
    this.#suspectCount += 1;
  }

  trust(number: number): void {
    if (this.#states[number] !== SUSPECT) return;
    this.#states[number] = TRUSTED;
    this.#suspectCount -= 1;
  }

  suspectAll(): void {
    for (let number = 0; number < this.#end; number += 1) this.suspect(number);
  }

  trustAll(): void {
    for (let number = 0; number < this.#end; number += 1) this.trust(number);
  }

  /** Present numbers in ascending order; pieces that come or go meanwhile may or may not be seen. */
  *numbers(): IterableIterator<number> {
    for (let number = 0; number < this.#end; number += 1) if (this.has(number)) yield number;
  }

  #internParent(parentId: string): number {
    const known = this.#parentIndex.get(parentId);
    if (known !== undefined) return known;
    const index = this.#parentIds.push(parentId) - 1;
    this.#parentIndex.set(parentId, index);
    return index;
  }

  #grow(needed: number): void {
    if (needed <= this.#states.length) return;
    let capacity = this.#states.length;
    while (capacity < needed) capacity *= 2;
    this.#states = enlarged(this.#states, new Uint8Array(capacity));
    this.#lengths = enlarged(this.#lengths, new Uint32Array(capacity));
    this.#crcs = enlarged(this.#crcs, new Uint32Array(capacity));
    this.#parents = enlarged(this.#parents, new Uint32Array(capacity));
    this.#traffic = enlarged(this.#traffic, new Uint8Array(capacity));
    this.#costs = enlarged(this.#costs, new Uint32Array(capacity));
    this.#created = enlarged(this.#created, new Float64Array(capacity));
  }
}

function enlarged<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
