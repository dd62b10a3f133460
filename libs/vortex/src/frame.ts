/**
 * The frames of the vortex protocol, as pure functions over bytes.
 *
 * Every number is big endian. A frame is a header of 6 bytes and a value:
 *
 *     packet id u8 (any value, ignored) | tag u8 | value length u32 | value
 *
 *     tag        name                            value
 *     0          DownloadPiece                   task id, 64 ASCII hex characters | piece number u32
 *     1          PieceContent                    metadata, see below
 *     2, 3       … of a persistent task          the same two values
 *     4, 5       … of a persistent cache task    the same two values
 *     6, 7       … of a cache task               the same two values
 *     8 – 253    reserved
 *     254        Close                           empty
 *     255        Error                           code u8 | UTF-8 text
 *
 *     metadata:  metadata length u32 (of all that follows) | piece number u32 | offset u64 | length u64 |
 *                digest length u32 | digest | parent id length u32 | parent id | traffic type u8 |
 *                cost u64 (whole seconds) | created at i64 (Unix seconds) | anything (ignored)
 *
 * The bytes of the piece follow a PieceContent frame and are not counted in its value length; their number is the
 * metadata's `length`.
 *
 * Source: vortex protocol of Dragonfly's client, releases 1.5.1 to 1.5.10 (docs/PROTOCOL.md); golden bytes in
 * frame.spec.ts.
 */
import { FrameError } from './frame-error.js';
import { FrameReader } from './frame-reader.js';

/** Length of a frame header in bytes. */
export const FRAME_HEADER_LENGTH_BYTES = 6;

/** Length of a task id on the wire. Other ids (crc32 and sha512 blob digests) cannot be asked for. */
export const WIRE_TASK_ID_LENGTH = 64;

/** Length of the value of a piece request. */
export const PIECE_REQUEST_VALUE_LENGTH_BYTES = WIRE_TASK_ID_LENGTH + 4;

/** Metadata without its length field, digest and parent id. */
const METADATA_FIXED_LENGTH_BYTES = 45;

/** Longest digest text that is sent or accepted; the longest one known is `sha512:` and 128 characters. */
export const MAX_DIGEST_LENGTH_BYTES = 256;

/** Longest parent id that is sent or accepted; ip, host name (≤ 253), uuid and `-seed` need about 340. */
export const MAX_PARENT_ID_LENGTH_BYTES = 1024;

/**
 * Longest value of an answer that is accepted: room for the longest metadata and for fields that a later release may
 * append, or for an error text.
 */
export const MAX_ANSWER_VALUE_LENGTH_BYTES = 16 * 1024;

/** Longest error text that is sent, in bytes. */
export const MAX_ERROR_TEXT_LENGTH_BYTES = 1024;

/** Kind of a task: which pair of tags its pieces use. */
export type PieceKind = 'standard' | 'persistent' | 'persistent-cache' | 'cache';

const REQUEST_TAGS: Readonly<Record<PieceKind, number>> = {
  standard: 0,
  persistent: 2,
  'persistent-cache': 4,
  cache: 6,
};
const KINDS: readonly PieceKind[] = ['standard', 'persistent', 'persistent-cache', 'cache'];

/** Tags that stand outside the pairs of request and content. */
export const CLOSE_TAG = 254;
/** The answer is a code and a text instead of a piece. */
export const ERROR_TAG = 255;

/** What a tag means. */
export type TagMeaning =
  | { readonly type: 'request' | 'content'; readonly kind: PieceKind }
  | { readonly type: 'close' | 'error' | 'reserved' };

/** The meaning of a tag, total over 0 … 255. */
export function meaningOfTag(tag: number): TagMeaning {
  if (tag === CLOSE_TAG) return { type: 'close' };
  if (tag === ERROR_TAG) return { type: 'error' };
  const kind = KINDS[tag >> 1];
  if (kind === undefined) return { type: 'reserved' };
  return { type: tag % 2 === 0 ? 'request' : 'content', kind };
}

/** The tag of a piece request. */
export function requestTag(kind: PieceKind): number {
  return REQUEST_TAGS[kind];
}

/** The tag of the answer with a piece. */
export function contentTag(kind: PieceKind): number {
  return REQUEST_TAGS[kind] + 1;
}

/** The 6 bytes before a value. */
export interface FrameHeader {
  /** 0 … 255; random at the sender, ignored by receivers. */
  readonly packetId: number;
  /** 0 … 255, see {@link meaningOfTag}. */
  readonly tag: number;
  /** Length of the value; the bytes of a piece are not part of it. */
  readonly valueLengthBytes: number;
}

/** Writes a frame header. */
export function encodeFrameHeader(header: FrameHeader): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_LENGTH_BYTES);
  writeFrameHeader(bytes, header);
  return bytes;
}

/**
 * Reads a frame header.
 *
 * @param bytes at least 6 bytes; what follows is ignored
 * @throws FrameError `too-short`
 */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const reader = new FrameReader(bytes, 'frame header');
  return { packetId: reader.u8(), tag: reader.u8(), valueLengthBytes: reader.u32() };
}

/** A request for one piece. */
export interface PieceRequest {
  /** 64 hex characters. */
  readonly taskId: string;
  /** 0-based, below 2^32. */
  readonly pieceNumber: number;
}

/**
 * The whole frame that asks for a piece.
 *
 * @param packetId @default a random one
 * @throws FrameError `invalid-task-id` | `invalid-number`: the request cannot be expressed
 */
export function encodePieceRequest(kind: PieceKind, request: PieceRequest, packetId = randomPacketId()): Buffer {
  if (!isWireTaskId(request.taskId)) {
    throw new FrameError('invalid-task-id', `task id "${request.taskId}" is not ${WIRE_TASK_ID_LENGTH} hex characters`);
  }
  requireU32(request.pieceNumber, 'piece number');
  const frame = Buffer.allocUnsafe(FRAME_HEADER_LENGTH_BYTES + PIECE_REQUEST_VALUE_LENGTH_BYTES);
  writeFrameHeader(frame, { packetId, tag: requestTag(kind), valueLengthBytes: PIECE_REQUEST_VALUE_LENGTH_BYTES });
  frame.write(request.taskId, FRAME_HEADER_LENGTH_BYTES, 'latin1');
  frame.writeUInt32BE(request.pieceNumber, FRAME_HEADER_LENGTH_BYTES + WIRE_TASK_ID_LENGTH);
  return frame;
}

/**
 * Reads the value of a piece request.
 *
 * @param value exactly 68 bytes
 * @throws FrameError `too-short` | `too-long` | `invalid-task-id`: the server closes the connection
 */
export function decodePieceRequest(value: Uint8Array): PieceRequest {
  const reader = new FrameReader(value, 'piece request');
  const taskId = reader.latin1(WIRE_TASK_ID_LENGTH);
  const pieceNumber = reader.u32();
  reader.end();
  if (!isWireTaskId(taskId)) {
    throw new FrameError('invalid-task-id', 'piece request names no task id of 64 hex characters');
  }
  return { taskId, pieceNumber };
}

/** What a parent says about the piece that it sends. */
export interface PieceMetadata {
  /** 0-based. */
  readonly number: number;
  /** Where the piece begins in the content. */
  readonly offsetBytes: number;
  /** How many bytes follow the frame. */
  readonly lengthBytes: number;
  /** `crc32:<decimal>`; may be empty where the parent never computed one. */
  readonly digest: string;
  /** From whom the sender has the piece; empty when from the source. */
  readonly parentId: string;
  /** A number of common.v2.TrafficType. */
  readonly trafficType: number;
  /** How long it took the sender to get the piece. Travels in whole seconds, rounded down. */
  readonly costMs: number;
  /** When the sender got the piece, Unix time. Travels in whole seconds, rounded down. */
  readonly createdAtMs: number;
}

/**
 * The header and metadata that stand before the bytes of a piece.
 *
 * @throws FrameError `too-long` (digest or parent id) | `invalid-number`: the record cannot be expressed
 */
export function encodePieceContentHead(kind: PieceKind, piece: PieceMetadata, packetId = randomPacketId()): Buffer {
  const digest = Buffer.from(piece.digest);
  const parentId = Buffer.from(piece.parentId);
  requireAtMost(digest.length, MAX_DIGEST_LENGTH_BYTES, 'digest');
  requireAtMost(parentId.length, MAX_PARENT_ID_LENGTH_BYTES, 'parent id');
  requireU32(piece.number, 'piece number');
  const metadataLength = METADATA_FIXED_LENGTH_BYTES + digest.length + parentId.length;

  const frame = Buffer.allocUnsafe(FRAME_HEADER_LENGTH_BYTES + 4 + metadataLength);
  writeFrameHeader(frame, { packetId, tag: contentTag(kind), valueLengthBytes: 4 + metadataLength });
  let at = FRAME_HEADER_LENGTH_BYTES;
  at = frame.writeUInt32BE(metadataLength, at);
  at = frame.writeUInt32BE(piece.number, at);
  at = frame.writeBigUInt64BE(requireCount(piece.offsetBytes, 'offset'), at);
  at = frame.writeBigUInt64BE(requireCount(piece.lengthBytes, 'length'), at);
  at = frame.writeUInt32BE(digest.length, at);
  at += digest.copy(frame, at);
  at = frame.writeUInt32BE(parentId.length, at);
  at += parentId.copy(frame, at);
  at = frame.writeUInt8(piece.trafficType & 0xff, at);
  at = frame.writeBigUInt64BE(requireCount(Math.floor(piece.costMs / 1000), 'cost'), at);
  frame.writeBigInt64BE(requireSafe(Math.floor(piece.createdAtMs / 1000), 'creation time'), at);
  return frame;
}

/**
 * Reads the value of a PieceContent frame. Bytes after the known fields are ignored: later releases may append some.
 *
 * @throws FrameError `too-short` | `too-long` | `invalid-number` (beyond 2^53-1): the receiver closes the connection
 */
export function decodePieceContentValue(value: Uint8Array): PieceMetadata {
  requireAtMost(value.length, MAX_ANSWER_VALUE_LENGTH_BYTES, 'piece content value');
  const outer = new FrameReader(value, 'piece content value');
  const reader = new FrameReader(outer.bytes(outer.u32()), 'piece metadata');
  const number = reader.u32();
  const offsetBytes = reader.u64();
  const lengthBytes = reader.u64();
  const digest = reader.utf8(reader.length(MAX_DIGEST_LENGTH_BYTES, 'digest'));
  const parentId = reader.utf8(reader.length(MAX_PARENT_ID_LENGTH_BYTES, 'parent id'));
  const trafficType = reader.u8();
  const costSeconds = reader.u64();
  const createdAtSeconds = reader.i64();
  return {
    number,
    offsetBytes,
    lengthBytes,
    digest,
    parentId,
    trafficType,
    costMs: costSeconds * 1000,
    createdAtMs: createdAtSeconds * 1000,
  };
}

/** Codes of an Error frame. */
export const WIRE_ERROR_CODES = { unknown: 0, invalidArgument: 1, notFound: 2, internal: 3 } as const;

/** The value of an Error frame. */
export interface WireError {
  /** One of {@link WIRE_ERROR_CODES}, or a reserved number up to 255. */
  readonly code: number;
  readonly text: string;
}

/** A whole Error frame; the text is cut at {@link MAX_ERROR_TEXT_LENGTH_BYTES}. */
export function encodeErrorFrame(error: WireError, packetId = randomPacketId()): Buffer {
  const text = cutUtf8(error.text, MAX_ERROR_TEXT_LENGTH_BYTES);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_LENGTH_BYTES + 1 + text.length);
  writeFrameHeader(frame, { packetId, tag: ERROR_TAG, valueLengthBytes: 1 + text.length });
  frame.writeUInt8(error.code & 0xff, FRAME_HEADER_LENGTH_BYTES);
  text.copy(frame, FRAME_HEADER_LENGTH_BYTES + 1);
  return frame;
}

/**
 * Reads the value of an Error frame. Bytes that are no UTF-8 become replacement characters.
 *
 * @throws FrameError `too-short` (no code) | `too-long`
 */
export function decodeErrorValue(value: Uint8Array): WireError {
  requireAtMost(value.length, MAX_ANSWER_VALUE_LENGTH_BYTES, 'error value');
  const reader = new FrameReader(value, 'error value');
  return { code: reader.u8(), text: reader.utf8(reader.remaining) };
}

/** True for ids that fit in a request: 64 hex characters of either case. */
export function isWireTaskId(taskId: string): boolean {
  return /^[0-9a-fA-F]{64}$/.test(taskId);
}

function writeFrameHeader(frame: Buffer, header: FrameHeader): void {
  frame.writeUInt8(header.packetId & 0xff, 0);
  frame.writeUInt8(header.tag, 1);
  frame.writeUInt32BE(header.valueLengthBytes, 2);
}

/** Packet ids carry no meaning; they only have to be a byte. */
function randomPacketId(): number {
  return Math.floor(Math.random() * 256);
}

function cutUtf8(text: string, maxBytes: number): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return bytes;
  // Step back over continuation bytes (10xxxxxx), so that no character is cut in two.
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function requireAtMost(lengthBytes: number, maxBytes: number, what: string): void {
  if (lengthBytes > maxBytes) {
    throw new FrameError('too-long', `${what} of ${lengthBytes} bytes is longer than ${maxBytes}`);
  }
}

function requireU32(value: number, what: string): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new FrameError('invalid-number', `${what} ${value} is not an unsigned 32-bit integer`);
  }
}

function requireCount(value: number, what: string): bigint {
  if (value < 0) throw new FrameError('invalid-number', `${what} ${value} is negative`);
  return requireSafe(value, what);
}

function requireSafe(value: number, what: string): bigint {
  if (!Number.isSafeInteger(value)) {
    throw new FrameError('invalid-number', `${what} ${value} is not an integer below 2^53`);
  }
  return BigInt(value);
}
