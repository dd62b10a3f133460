import { PieceSet } from './piece-set.js';

/** A piece as the peer that fetched it from the source reported it; shown by the stat methods. */
export interface PieceFacts {
  readonly number: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** `crc32:<decimal>`. */
  readonly digest: string;
  readonly costMs: number;
  readonly createdAtMs: number;
}

/** The pieces of a task that were fetched from the source, each number once. */
export class SourcePieces {
  readonly #byNumber = new Map<number, PieceFacts>();
  #numbers = new PieceSet();
  #bytes = 0;

  get size(): number {
    return this.#byNumber.size;
  }

  /** Sum of their lengths. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A number that is there already, or is no piece number, is left out. */
  add(piece: PieceFacts): void {
    if (!this.#numbers.add(piece.number)) return;
    this.#byNumber.set(piece.number, piece);
    this.#bytes += piece.lengthBytes;
  }

  get(number: number): PieceFacts | undefined {
    return this.#byNumber.get(number);
  }

  /** In the order in which they arrived. */
  values(): IterableIterator<PieceFacts> {
    return this.#byNumber.values();
  }

  clear(): void {
    this.#byNumber.clear();
    this.#numbers = new PieceSet();
    this.#bytes = 0;
  }
}
