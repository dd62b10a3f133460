import type { commonV2 } from '@dragonfly/proto';

/** Which hosts a preheat reaches. */
export type PreheatScope = 'single-seed-peer' | 'all-seed-peers' | 'all-peers';

/** Hosts of a scope: the named ones, else a number of them, else a share, else all. */
export interface HostTarget {
  readonly scope: PreheatScope;
  /** Empty = not by address. */
  readonly ips: readonly string[];
  readonly count?: number;
  /** 1 to 100. */
  readonly percentage?: number;
}

/** Content is fetched before it is asked for. */
export interface PreheatSpec {
  readonly kind: 'preheat';
  /** One task each: a file, or a blob of an image. */
  readonly downloads: readonly commonV2.Download[];
  readonly target: HostTarget;
  /** Tasks at a time. */
  readonly concurrentTaskCount: number;
  /** Hosts at a time for one task. */
  readonly concurrentPeerCount: number;
}

/** Who holds a task? */
export interface GetTaskSpec {
  readonly kind: 'get-task';
  readonly taskId: string;
  readonly concurrentPeerCount: number;
}

/** A task is deleted wherever it is. */
export interface DeleteTaskSpec {
  readonly kind: 'delete-task';
  readonly taskId: string;
  readonly concurrentPeerCount: number;
}

/** Which hosts are there? */
export interface SyncPeersSpec {
  readonly kind: 'sync-peers';
}

/** What a job is to do, wherever it came from. */
export type JobSpec = PreheatSpec | GetTaskSpec | DeleteTaskSpec | SyncPeersSpec;
export type JobKind = JobSpec['kind'];

/** Used where a request says nothing, as in the original. */
export const DEFAULT_CONCURRENT_TASK_COUNT = 8;
export const DEFAULT_CONCURRENT_PEER_COUNT = 500;
export const DEFAULT_JOB_TIMEOUT_MS = 60 * 60_000;
/** Downloads of one job. */
export const MAX_DOWNLOADS = 10_000;
