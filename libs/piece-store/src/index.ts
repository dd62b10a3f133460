export {
  decideEvictions,
  type EvictionCandidate,
  type Eviction,
  type EvictionDecision,
  type EvictionReason,
  type GcPolicy,
} from './eviction.js';
export { GarbageCollector, type GarbageCollectorOptions, type GcReport } from './garbage-collector.js';
export type { OutputMode, OutputOptions, OutputOutcome } from './output.js';
export { PieceStore, type PieceStoreOptions, type StoreUsage } from './piece-store.js';
export { scanJournal, type JournalRecord, type JournalScan } from './journal-record.js';
export { MAX_PIECES_PER_TASK } from './piece-table.js';
export type { TaskEnd } from './piece-events.js';
export type { PieceWriter } from './piece-writer.js';
export type { OpenedPiece } from './content-access.js';
export { StoredTask, type PieceState } from './stored-task.js';
export {
  TASK_KINDS,
  type PieceCommit,
  type PieceRecord,
  type StoreLog,
  type SyncPolicy,
  type TaskFailure,
  type TaskInit,
  type TaskKind,
  type TaskMeta,
} from './task-types.js';
