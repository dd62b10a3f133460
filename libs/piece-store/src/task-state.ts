import type { FileStamp, JournalRecord } from './journal-record.js';
import { PieceTable } from './piece-table.js';
import type { TaskFailure, TaskInit, TaskKind, TaskMeta } from './task-types.js';

/** Everything a journal says about one task. Owned and changed by its `StoredTask` alone. */
export interface TaskState {
  readonly kind: TaskKind;
  readonly id: string;
  meta: TaskMeta;
  contentLengthBytes: number | undefined;
  readonly table: PieceTable;
  isComplete: boolean;
  failure: TaskFailure | undefined;
  updatedAtMs: number;
  /** Set while the content file may have hard links outside the store. */
  linkStamp: FileStamp | undefined;
  /** Names that the content file had when `linkStamp` was taken; not journalled, so unknown after a restart. */
  linkCount: bigint | undefined;
  /** The boot in which the journal was last written. */
  lastBootId: string | undefined;
}

export function newTaskState(kind: TaskKind, id: string, init: TaskInit, nowMs: number): TaskState {
  return {
    kind,
    id,
    meta: { ...init, responseHeader: init.responseHeader ?? {}, createdAtMs: nowMs },
    contentLengthBytes: init.contentLengthBytes,
    table: new PieceTable(init.pieceLengthBytes),
    isComplete: false,
    failure: undefined,
    updatedAtMs: nowMs,
    linkStamp: undefined,
    linkCount: undefined,
    lastBootId: undefined,
  };
}

/**
 * Rebuilds a task from its journal.
 *
 * Pieces recorded in another boot than `currentBootId`, with no `trusted` mark after them, come out suspect: their
 * bytes may never have reached the disk.
 * @returns undefined when the first record is no task header
 */
export function replay(records: readonly JournalRecord[], currentBootId: string): TaskState | undefined {
  const header = records[0];
  if (header?.type !== 'task') return undefined;
  const state = newTaskState(header.kind, header.id, header.meta, header.meta.createdAtMs);
  state.meta = header.meta;
  for (const record of records.slice(1)) applyRecord(state, record, currentBootId);
  return state;
}

function applyRecord(state: TaskState, record: JournalRecord, currentBootId: string): void {
  switch (record.type) {
    case 'task':
      return; // only ever first
    case 'piece':
      state.table.set(record.number, record);
      if (state.lastBootId !== currentBootId) state.table.suspect(record.number);
      return;
    case 'dropped':
      state.table.delete(record.number);
      state.isComplete = false;
      return;
    case 'content-length':
      state.contentLengthBytes = record.contentLengthBytes;
      return;
    case 'response-header':
      state.meta = { ...state.meta, responseHeader: record.header };
      return;
    case 'complete':
      state.isComplete = true;
      state.failure = undefined;
      state.updatedAtMs = record.atMs;
      return;
    case 'failed':
      state.failure = { message: record.message, atMs: record.atMs };
      state.updatedAtMs = record.atMs;
      return;
    case 'resumed':
      state.failure = undefined;
      state.updatedAtMs = record.atMs;
      return;
    case 'touched':
      state.updatedAtMs = record.atMs;
      return;
    case 'boot':
      state.lastBootId = record.bootId;
      return;
    case 'trusted':
      state.table.trustAll();
      return;
    case 'suspect':
      state.table.suspectAll();
      return;
    case 'linked':
      state.linkStamp = record.stamp;
      return;
    case 'unlinked':
      state.linkStamp = undefined;
      return;
  }
}

/** The shortest journal that replays to `state`. */
export function snapshotRecords(state: TaskState, currentBootId: string): JournalRecord[] {
  const { table } = state;
  const records: JournalRecord[] = [{ type: 'task', kind: state.kind, id: state.id, meta: state.meta }];
  if (state.contentLengthBytes !== undefined) {
    records.push({ type: 'content-length', contentLengthBytes: state.contentLengthBytes });
  }
  for (const number of table.numbers()) if (table.isSuspect(number)) records.push(pieceRecord(table, number));
  if (table.suspectCount > 0) records.push({ type: 'suspect' });
  records.push({ type: 'boot', bootId: currentBootId });
  for (const number of table.numbers()) if (!table.isSuspect(number)) records.push(pieceRecord(table, number));
  if (state.linkStamp !== undefined) records.push({ type: 'linked', stamp: state.linkStamp });
  if (state.isComplete) records.push({ type: 'complete', atMs: state.updatedAtMs });
  if (state.failure !== undefined) records.push({ type: 'failed', ...state.failure });
  records.push({ type: 'touched', atMs: state.updatedAtMs });
  return records;
}

function pieceRecord(table: PieceTable, number: number): JournalRecord {
  const piece = table.get(number);
  return {
    type: 'piece',
    number,
    lengthBytes: table.lengthOf(number),
    crc32: table.crc32Of(number),
    parentId: piece?.parentId ?? '',
    trafficType: piece?.trafficType ?? 0,
    costMs: piece?.costMs ?? 0,
    createdAtMs: piece?.createdAtMs ?? 0,
  };
}
