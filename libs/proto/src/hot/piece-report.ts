import type { Piece } from '../gen/common/v2/common.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import type { AnnouncePeerRequest } from '../gen/scheduler/v2/scheduler.js';

/*
 * Reports about finished pieces are nearly all that a scheduler reads. The generated decoder makes a reader, a view and
 * an array of codes for every short string; this one goes over the bytes once. It knows these reports only, and leaves
 * everything else, whatever looks odd included, to the generated one, which so decides alone what is an error.
 */

const NO_NUMBER = -1;
const MAX_VARINT_BYTES = 8;
const MAX_UINT32 = 2 ** 32 - 1;
const MAX_INT32 = 2 ** 31 - 1;
const MS_PER_SECOND = 1000;
const NANOS_PER_MS = 1_000_000;

/** Number of the field and 2 for "length, then so many bytes", or 0 for "number". */
const REQUEST_TAG = { hostId: 0x0a, taskId: 0x12, peerId: 0x1a, finished: 0x62, finishedFromSource: 0x6a } as const;
const REPORT_TAG = { piece: 0x0a } as const;
const PIECE_TAG = {
  number: 0x08,
  parentId: 0x12,
  offset: 0x18,
  length: 0x20,
  digest: 0x2a,
  trafficType: 0x38,
  cost: 0x42,
  createdAt: 0x4a,
} as const;
const TIME_TAG = { seconds: 0x08, nanos: 0x10 } as const;

// Of the one message that is being decoded; nothing here waits for anything.
let bytes: Buffer = Buffer.alloc(0);
let position = 0;

/**
 * Decodes a request that reports a finished piece.
 * @returns the object that the generated decoder makes; undefined for any other request, and for one that is malformed
 */
export function decodePieceReport(message: Buffer): AnnouncePeerRequest | undefined {
  bytes = message;
  position = 0;
  const { length } = message;
  let hostId = '';
  let taskId = '';
  let peerId = '';
  let request: AnnouncePeerRequest['request'];
  while (position < length) {
    const tag = message[position];
    position += 1;
    const end = endOfValue(length);
    if (end === NO_NUMBER) return undefined;
    switch (tag) {
      case REQUEST_TAG.hostId:
        hostId = text(end);
        break;
      case REQUEST_TAG.taskId:
        taskId = text(end);
        break;
      case REQUEST_TAG.peerId:
        peerId = text(end);
        break;
      case REQUEST_TAG.finished:
      case REQUEST_TAG.finishedFromSource: {
        const piece = pieceOfReport(end);
        if (piece === undefined) return undefined;
        request =
          tag === REQUEST_TAG.finished
            ? { $case: 'downloadPieceFinishedRequest', value: { piece } }
            : { $case: 'downloadPieceBackToSourceFinishedRequest', value: { piece } };
        break;
      }
      default:
        return undefined;
    }
  }
  return request === undefined ? undefined : { hostId, taskId, peerId, request };
}

function pieceOfReport(limit: number): Piece | undefined {
  if (position >= limit || bytes[position] !== REPORT_TAG.piece) return undefined;
  position += 1;
  // With anything behind the piece it is not one of those that are known here.
  return endOfValue(limit) === limit ? decodePiece(limit) : undefined;
}

function decodePiece(limit: number): Piece | undefined {
  const piece: Piece = {
    number: 0,
    parentId: undefined,
    offset: 0n,
    length: 0n,
    digest: '',
    content: undefined,
    trafficType: undefined,
    cost: undefined,
    createdAt: undefined,
  };
  while (position < limit) {
    const tag = bytes[position];
    position += 1;
    // A number, or the length of what follows.
    const value = varint(limit);
    if (value === NO_NUMBER) return undefined;
    switch (tag) {
      case PIECE_TAG.number:
        if (value > MAX_UINT32) return undefined;
        piece.number = value;
        continue;
      case PIECE_TAG.offset:
        piece.offset = BigInt(value);
        continue;
      case PIECE_TAG.length:
        piece.length = BigInt(value);
        continue;
      case PIECE_TAG.trafficType:
        if (value > MAX_INT32) return undefined;
        piece.trafficType = value;
        continue;
      default:
    }
    const end = position + value;
    if (end > limit) return undefined;
    switch (tag) {
      case PIECE_TAG.parentId:
        piece.parentId = text(end);
        break;
      case PIECE_TAG.digest:
        piece.digest = text(end);
        break;
      case PIECE_TAG.cost:
        if (!readTime(end)) return undefined;
        piece.cost = { seconds: BigInt(seconds), nanos } satisfies Duration;
        break;
      case PIECE_TAG.createdAt:
        if (!readTime(end)) return undefined;
        piece.createdAt = new Date(seconds * MS_PER_SECOND + nanos / NANOS_PER_MS);
        break;
      default:
        return undefined;
    }
  }
  return piece;
}

let seconds = 0;
let nanos = 0;

/** Reads a Duration or a Timestamp, which look the same, into `seconds` and `nanos`; negative ones are not known here. */
function readTime(limit: number): boolean {
  seconds = 0;
  nanos = 0;
  while (position < limit) {
    const tag = bytes[position];
    position += 1;
    const value = varint(limit);
    if (value === NO_NUMBER) return false;
    if (tag === TIME_TAG.seconds) seconds = value;
    else if (tag === TIME_TAG.nanos && value <= MAX_INT32) nanos = value;
    else return false;
  }
  return true;
}

/** Reads a length. @returns where the value ends, or {@link NO_NUMBER} when it would end beyond `limit` */
function endOfValue(limit: number): number {
  const length = varint(limit);
  if (length === NO_NUMBER || position + length > limit) return NO_NUMBER;
  return position + length;
}

/** @returns {@link NO_NUMBER} for a number that is cut, or is more than 2^53 - 1 */
function varint(limit: number): number {
  let value = 0;
  let factor = 1;
  for (let count = 0; count < MAX_VARINT_BYTES && position < limit; count += 1) {
    const byte = bytes[position] ?? 0;
    position += 1;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : NO_NUMBER;
    factor *= 0x80;
  }
  return NO_NUMBER;
}

/** Reads the text that ends there. */
function text(end: number): string {
  const start = position;
  position = end;
  return bytes.toString('utf8', start, end);
}
