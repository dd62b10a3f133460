/** What a task is kept for; the store treats all kinds alike but for eviction. */
export const TASK_KINDS = ['standard', 'persistent', 'persistent-cache', 'cache'] as const;
export type TaskKind = (typeof TASK_KINDS)[number];

/** What the caller knows about a task when it is first stored. */
export interface TaskInit {
  /** Length of every piece but the last; 1 … 2^32-1. */
  readonly pieceLengthBytes: number;
  /** Undefined while unknown (chunked origin): set later with `StoredTask.setContentLength`. */
  readonly contentLengthBytes?: number;
  readonly url?: string;
  readonly tag?: string;
  readonly application?: string;
  /** Digest the whole content must have, e.g. `sha256:…`. Kept for the caller; the store checks it only when asked. */
  readonly digest?: string;
  readonly filteredQueryParams?: readonly string[];
  /** The origin's answer headers, lower case names. */
  readonly responseHeader?: Readonly<Record<string, string>>;
  /** Never evicted for disk space (persistent kinds). @default false */
  readonly persistent?: boolean;
  /** Own time to live (persistent kinds); the policy's when absent. */
  readonly ttlMs?: number;
  /** Whatever else the caller wants to find again after a restart. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** `TaskInit` as stored. */
export interface TaskMeta extends TaskInit {
  readonly responseHeader: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
}

/** One finished piece. */
export interface PieceRecord {
  /** 0-based. */
  readonly number: number;
  /** Always `number × pieceLengthBytes`. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** `crc32:<decimal>` over the piece's bytes. */
  readonly digest: string;
  /** Peer id of the parent the bytes came from; empty for the source and for local content. */
  readonly parentId: string;
  /** Number of `common.v2.TrafficType`. */
  readonly trafficType: number;
  readonly costMs: number;
  readonly createdAtMs: number;
}

/** What the caller says about a piece whose bytes are all written. */
export interface PieceCommit {
  readonly lengthBytes: number;
  /** IEEE CRC-32 of the bytes, unsigned. */
  readonly crc32: number;
  readonly parentId?: string;
  readonly trafficType: number;
  readonly costMs: number;
}

export interface TaskFailure {
  readonly message: string;
  readonly atMs: number;
}

/** The part of a logger that the store uses; pino's fits. */
export interface StoreLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * When written data is forced to the disk. Whatever the choice, a wrong byte is never served: pieces that a power loss
 * may have eaten are checked against their crc32 before the first use after it.
 *
 * - `none`: never; the kernel writes back in its own time. Fastest. A killed process loses nothing; a power loss costs
 *   the pieces of the last seconds and one read of what was not known to be on disk.
 * - `journal`: the journal after every batch: finished pieces are not forgotten, their bytes are still checked.
 * - `full`: content, then journal, for every batch: a power loss costs nothing and needs no check. On a disk that
 *   honours flushes this costs a flush per batch of pieces.
 */
export type SyncPolicy = 'none' | 'journal' | 'full';
