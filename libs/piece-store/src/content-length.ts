import { DfError } from '@dragonfly/errors';
import { MAX_PIECES_PER_TASK } from './piece-table.js';

const MAX_PIECE_LENGTH_BYTES = 0xffffffff;

/** @returns 0 when the content has no such piece; the full piece length while the content length is unknown */
export function lengthOfPiece(
  number: number,
  pieceLengthBytes: number,
  contentLengthBytes: number | undefined,
): number {
  if (!Number.isInteger(number) || number < 0 || number >= MAX_PIECES_PER_TASK) return 0;
  if (contentLengthBytes === undefined) return pieceLengthBytes;
  return Math.max(0, Math.min(pieceLengthBytes, contentLengthBytes - number * pieceLengthBytes));
}

/** @throws DfError `invalid-argument` */
export function checkPieceLength(pieceLengthBytes: number): void {
  if (Number.isInteger(pieceLengthBytes) && pieceLengthBytes > 0 && pieceLengthBytes <= MAX_PIECE_LENGTH_BYTES) return;
  throw new DfError(
    'invalid-argument',
    `piece length ${pieceLengthBytes}: must be 1 … ${MAX_PIECE_LENGTH_BYTES} bytes`,
  );
}

/** @throws DfError `invalid-argument` */
export function checkContentLength(contentLengthBytes: number, pieceLengthBytes: number): void {
  const isPossible = Number.isSafeInteger(contentLengthBytes) && contentLengthBytes >= 0;
  if (isPossible && contentLengthBytes <= pieceLengthBytes * MAX_PIECES_PER_TASK) return;
  throw new DfError(
    'invalid-argument',
    `content length ${contentLengthBytes}: must be 0 … ${MAX_PIECES_PER_TASK} pieces of ${pieceLengthBytes} bytes`,
  );
}
