import { crc32 } from 'node:zlib';
import { DfError } from '@dragonfly/errors';
import type { TaskKind, TaskMeta } from './task-types.js';

/*
 * Journal file, all numbers little endian:
 *
 *   magic   8 bytes  "DFPJ0001"
 *   record  payload length u32 | crc32 u32 over (type, payload) | type u8 | payload
 *   record  …
 *
 * A record is valid when its whole frame is there and the checksum agrees. The first invalid one and everything after
 * it is the torn tail of a crash: it is cut, and the pieces it named are fetched again.
 */

/** First bytes of every journal; the digits are the version of the record layouts. */
export const JOURNAL_MAGIC: Buffer = Buffer.from('DFPJ0001', 'ascii');
/** Larger than any record that is ever written (the largest is a task header with its response headers). */
export const MAX_PAYLOAD_BYTES = 1 << 20;
const FRAME_HEADER_BYTES = 9;
/** Piece payload without the parent id: number, length, crc u32 | traffic u8 | cost u32 | created f64 | id length u16. */
const PIECE_FIXED_BYTES = 4 + 4 + 4 + 1 + 4 + 8 + 2;

/** What the file looked like when a hard link to it was last given out; nanoseconds since the epoch. */
export interface FileStamp {
  readonly sizeBytes: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export type JournalRecord =
  /** Always the first record. */
  | { readonly type: 'task'; readonly kind: TaskKind; readonly id: string; readonly meta: TaskMeta }
  | {
      readonly type: 'piece';
      readonly number: number;
      readonly lengthBytes: number;
      readonly crc32: number;
      readonly parentId: string;
      readonly trafficType: number;
      readonly costMs: number;
      readonly createdAtMs: number;
    }
  /** The piece's bytes were found to be wrong: it is absent again. */
  | { readonly type: 'dropped'; readonly number: number }
  | { readonly type: 'content-length'; readonly contentLengthBytes: number }
  | { readonly type: 'response-header'; readonly header: Readonly<Record<string, string>> }
  | { readonly type: 'complete'; readonly atMs: number }
  | { readonly type: 'failed'; readonly atMs: number; readonly message: string }
  | { readonly type: 'resumed'; readonly atMs: number }
  | { readonly type: 'touched'; readonly atMs: number }
  /** The records below were written while this boot of the machine lasted. */
  | { readonly type: 'boot'; readonly bootId: string }
  /** Every piece above is known to be on disk as recorded. */
  | { readonly type: 'trusted' }
  /** Every piece above must be checked against its crc32 before it is used. */
  | { readonly type: 'suspect' }
  /** The content file has a hard link outside the store, which looked like this when it was made. */
  | { readonly type: 'linked'; readonly stamp: FileStamp }
  /** The content file is the store's alone again. */
  | { readonly type: 'unlinked' };

const TYPE_BYTES = {
  task: 1,
  piece: 2,
  dropped: 3,
  'content-length': 4,
  'response-header': 5,
  complete: 6,
  failed: 7,
  resumed: 8,
  touched: 9,
  boot: 10,
  trusted: 11,
  suspect: 12,
  linked: 13,
  unlinked: 14,
} as const satisfies Record<JournalRecord['type'], number>;

/**
 * Frame of one record, ready to be appended.
 * @throws DfError `invalid-argument` for a payload that `scanJournal` would not take (headers of a megabyte, say)
 */
export function encodeRecord(record: JournalRecord): Buffer {
  const payload = encodePayload(record);
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new DfError('invalid-argument', `a ${record.type} record of ${payload.length} bytes: must be below 1 MiB`);
  }
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame[8] = TYPE_BYTES[record.type];
  payload.copy(frame, FRAME_HEADER_BYTES);
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4);
  return frame;
}

/** Result of reading a journal from its beginning. */
export interface JournalScan {
  readonly records: JournalRecord[];
  /** Length of the valid part; shorter than the file when a tail was torn. */
  readonly validBytes: number;
}

/**
 * Reads records up to the first one that is incomplete or fails its checksum. Never throws on content: a file without
 * the magic gives no records and `validBytes` 0.
 */
export function scanJournal(file: Buffer): JournalScan {
  const records: JournalRecord[] = [];
  if (!file.subarray(0, JOURNAL_MAGIC.length).equals(JOURNAL_MAGIC)) return { records, validBytes: 0 };
  let offset = JOURNAL_MAGIC.length;
  while (offset + FRAME_HEADER_BYTES <= file.length) {
    const payloadLength = file.readUInt32LE(offset);
    if (payloadLength > MAX_PAYLOAD_BYTES) break;
    const end = offset + FRAME_HEADER_BYTES + payloadLength;
    if (end > file.length) break;
    if (crc32(file.subarray(offset + 8, end)) !== file.readUInt32LE(offset + 4)) break;
    const record = decodePayload(file.readUInt8(offset + 8), file.subarray(offset + FRAME_HEADER_BYTES, end));
    if (record === undefined) break;
    records.push(record);
    offset = end;
  }
  return { records, validBytes: offset };
}

function encodePayload(record: JournalRecord): Buffer {
  switch (record.type) {
    case 'task':
      return json({ kind: record.kind, id: record.id, meta: record.meta });
    case 'piece': {
      const parentId = Buffer.from(record.parentId, 'utf8');
      const payload = Buffer.allocUnsafe(PIECE_FIXED_BYTES + parentId.length);
      payload.writeUInt32LE(record.number, 0);
      payload.writeUInt32LE(record.lengthBytes, 4);
      payload.writeUInt32LE(record.crc32, 8);
      payload.writeUInt8(record.trafficType, 12);
      payload.writeUInt32LE(record.costMs, 13);
      payload.writeDoubleLE(record.createdAtMs, 17);
      payload.writeUInt16LE(parentId.length, 25);
      parentId.copy(payload, PIECE_FIXED_BYTES);
      return payload;
    }
    case 'dropped': {
      const payload = Buffer.allocUnsafe(4);
      payload.writeUInt32LE(record.number);
      return payload;
    }
    case 'content-length':
      return double(record.contentLengthBytes);
    case 'response-header':
      return json(record.header);
    case 'failed':
      return json({ atMs: record.atMs, message: record.message });
    case 'complete':
    case 'resumed':
    case 'touched':
      return double(record.atMs);
    case 'boot':
      return Buffer.from(record.bootId, 'utf8');
    case 'linked': {
      const payload = Buffer.allocUnsafe(24);
      payload.writeBigUInt64LE(record.stamp.sizeBytes, 0);
      payload.writeBigUInt64LE(record.stamp.mtimeNs, 8);
      payload.writeBigUInt64LE(record.stamp.ctimeNs, 16);
      return payload;
    }
    case 'trusted':
    case 'suspect':
    case 'unlinked':
      return Buffer.alloc(0);
  }
}

/** @returns undefined for an unknown type or a payload of the wrong shape: the scan stops there */
function decodePayload(typeByte: number, payload: Buffer): JournalRecord | undefined {
  switch (typeByte) {
    case TYPE_BYTES.task: {
      const value = parseJson(payload) as { kind: TaskKind; id: string; meta: TaskMeta } | undefined;
      return value === undefined ? undefined : { type: 'task', kind: value.kind, id: value.id, meta: value.meta };
    }
    case TYPE_BYTES.piece: {
      if (payload.length < PIECE_FIXED_BYTES) return undefined;
      if (payload.length !== PIECE_FIXED_BYTES + payload.readUInt16LE(25)) return undefined;
      return {
        type: 'piece',
        number: payload.readUInt32LE(0),
        lengthBytes: payload.readUInt32LE(4),
        crc32: payload.readUInt32LE(8),
        trafficType: payload.readUInt8(12),
        costMs: payload.readUInt32LE(13),
        createdAtMs: payload.readDoubleLE(17),
        parentId: payload.toString('utf8', PIECE_FIXED_BYTES),
      };
    }
    case TYPE_BYTES.dropped:
      return payload.length === 4 ? { type: 'dropped', number: payload.readUInt32LE(0) } : undefined;
    case TYPE_BYTES['content-length']:
      return payload.length === 8 ? { type: 'content-length', contentLengthBytes: payload.readDoubleLE(0) } : undefined;
    case TYPE_BYTES['response-header']: {
      const header = parseJson(payload) as Record<string, string> | undefined;
      return header === undefined ? undefined : { type: 'response-header', header };
    }
    case TYPE_BYTES.failed: {
      const value = parseJson(payload) as { atMs: number; message: string } | undefined;
      return value === undefined ? undefined : { type: 'failed', atMs: value.atMs, message: value.message };
    }
    case TYPE_BYTES.complete:
      return payload.length === 8 ? { type: 'complete', atMs: payload.readDoubleLE(0) } : undefined;
    case TYPE_BYTES.resumed:
      return payload.length === 8 ? { type: 'resumed', atMs: payload.readDoubleLE(0) } : undefined;
    case TYPE_BYTES.touched:
      return payload.length === 8 ? { type: 'touched', atMs: payload.readDoubleLE(0) } : undefined;
    case TYPE_BYTES.boot:
      return { type: 'boot', bootId: payload.toString('utf8') };
    case TYPE_BYTES.trusted:
      return { type: 'trusted' };
    case TYPE_BYTES.suspect:
      return { type: 'suspect' };
    case TYPE_BYTES.linked:
      if (payload.length !== 24) return undefined;
      return {
        type: 'linked',
        stamp: {
          sizeBytes: payload.readBigUInt64LE(0),
          mtimeNs: payload.readBigUInt64LE(8),
          ctimeNs: payload.readBigUInt64LE(16),
        },
      };
    case TYPE_BYTES.unlinked:
      return { type: 'unlinked' };
    default:
      return undefined;
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function double(value: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeDoubleLE(value);
  return payload;
}

/** An object, or undefined: the checksum says that we wrote it, the shape is trusted from there on. */
function parseJson(payload: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
