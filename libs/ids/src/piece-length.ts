import { IdError } from './id-error.js';

/** Shortest and longest piece, in bytes; a requested length must lie between them (both included). */
export const MIN_PIECE_LENGTH_BYTES = 4 * 1024 * 1024;
export const MAX_PIECE_LENGTH_BYTES = 64 * 1024 * 1024;

/** Number of pieces that the derived piece length aims at. */
const TARGET_PIECE_COUNT = 500;

/** A part of a content, in bytes from its start. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** Where a piece lies in its content. */
export interface PieceRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Consecutive pieces: numbers `first` to `first + count - 1`. */
export interface PieceSpan {
  readonly first: number;
  readonly count: number;
}

/**
 * The piece length that follows from a content length: the power of two at or above a five-hundredth of it, at least
 * 4 MiB and at most 64 MiB.
 *
 * @throws IdError `invalid-length` unless the content length is an integer ≥ 0
 */
export function pieceLengthFor(contentLengthBytes: number): number {
  requireCount(contentLengthBytes, 'content length');
  const wanted = Math.floor(contentLengthBytes / TARGET_PIECE_COUNT);
  let length = MIN_PIECE_LENGTH_BYTES;
  while (length < wanted && length < MAX_PIECE_LENGTH_BYTES) length *= 2;
  return length;
}

/**
 * Number of pieces of a content; 0 for an empty one.
 *
 * @throws IdError `invalid-length` unless the content length is an integer ≥ 0 and the piece length one ≥ 1
 */
export function pieceCount(contentLengthBytes: number, pieceLengthBytes: number): number {
  requireCount(contentLengthBytes, 'content length');
  requirePieceLength(pieceLengthBytes);
  return Math.ceil(contentLengthBytes / pieceLengthBytes);
}

/**
 * Offset and length of one piece; all pieces but the last are of the piece length.
 *
 * @param pieceNumber 0-based
 * @throws IdError `invalid-length` when the content has no such piece
 */
export function pieceRange(pieceNumber: number, contentLengthBytes: number, pieceLengthBytes: number): PieceRange {
  const count = pieceCount(contentLengthBytes, pieceLengthBytes);
  if (!Number.isSafeInteger(pieceNumber) || pieceNumber < 0 || pieceNumber >= count) {
    throw new IdError('invalid-length', `piece ${pieceNumber} is not one of the ${count} pieces of the content`);
  }
  const offsetBytes = pieceNumber * pieceLengthBytes;
  return { offsetBytes, lengthBytes: Math.min(pieceLengthBytes, contentLengthBytes - offsetBytes) };
}

/**
 * The pieces that overlap a range. A range that reaches past the end of the content is cut there; one that is empty or
 * begins at or past the end has no pieces (`count` 0).
 *
 * @throws IdError `invalid-length` unless start and length are integers ≥ 0
 */
export function piecesOfRange(range: ByteRange, contentLengthBytes: number, pieceLengthBytes: number): PieceSpan {
  requireCount(range.start, 'range start');
  requireCount(range.length, 'range length');
  requireCount(contentLengthBytes, 'content length');
  requirePieceLength(pieceLengthBytes);
  const end = Math.min(range.start + range.length, contentLengthBytes);
  if (end <= range.start) return { first: 0, count: 0 };
  const first = Math.floor(range.start / pieceLengthBytes);
  return { first, count: Math.ceil(end / pieceLengthBytes) - first };
}

function requireCount(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new IdError('invalid-length', `${what} must be an integer from 0 to 2^53-1, not ${value}`);
  }
}

function requirePieceLength(value: number): void {
  requireCount(value, 'piece length');
  if (value === 0) throw new IdError('invalid-length', 'piece length must be at least 1');
}
