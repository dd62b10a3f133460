import type { commonV2 } from '@dragonfly/proto';

/** Which hosts a preheat reaches. */
export type PreheatScope = 'single_seed_peer' | 'all_seed_peers' | 'all_peers';

/** An image whose blobs are the downloads: a scheduler that resolves images itself is asked for it as a whole. */
export interface ImageOrigin {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly username: string;
  readonly password: string;
  readonly platform: string;
}

export interface PreheatWork {
  readonly kind: 'preheat';
  /** One task each. */
  readonly downloads: readonly commonV2.Download[];
  readonly scope: PreheatScope;
  readonly ips: readonly string[];
  readonly count: number | undefined;
  readonly percentage: number | undefined;
  readonly concurrentTaskCount: number;
  readonly concurrentPeerCount: number;
  readonly image: ImageOrigin | undefined;
}

export interface TaskWork {
  readonly kind: 'get_task' | 'delete_task';
  readonly taskId: string;
  readonly concurrentPeerCount: number;
}

export interface SyncPeersWork {
  readonly kind: 'sync_peers';
}

/** What a scheduler is asked to do. */
export type SchedulerWork = PreheatWork | TaskWork | SyncPeersWork;

/** How one task ended on one host. */
export interface WorkOutcome {
  readonly taskId: string;
  readonly url: string;
  readonly hostId: string;
  readonly hostname: string;
  readonly ip: string;
  readonly hostType: number;
  readonly isSuccess: boolean;
  readonly description: string;
  readonly contentLengthBytes: number;
  readonly costMs: number;
}

/** A host, and what it holds of the task asked about. */
export interface WorkHost {
  readonly host: commonV2.Host;
  readonly peerId: string;
  readonly isFinished: boolean;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
}

export interface WorkProgress {
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly completedBytes: number;
  /** 0 while unknown. */
  readonly totalBytes: number;
}

export type WorkEvent =
  /** All that was told so far is told again. */
  | { readonly type: 'restart' }
  | { readonly type: 'progress'; readonly progress: WorkProgress }
  | { readonly type: 'outcome'; readonly outcome: WorkOutcome }
  | { readonly type: 'hosts'; readonly hosts: readonly WorkHost[] };

/** How the work ended. A scheduler that cannot be reached is an end too. */
export interface WorkEnd {
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'timed-out';
  /** Why, unless it succeeded. */
  readonly description: string;
}

/** A scheduler to be asked. */
export interface SchedulerTarget {
  /** Row id. */
  readonly id: number;
  readonly hostname: string;
  readonly ip: string;
  readonly port: number;
  readonly clusterId: number;
}

export interface WorkRun {
  readonly target: SchedulerTarget;
  readonly work: SchedulerWork;
  /** The same run of the same job has the same id, also after a restart of the manager: it is joined. */
  readonly runId: string;
  readonly timeoutMs: number;
  readonly onEvent: (event: WorkEvent) => void;
  /** Reason `cancelled`: the work is to be ended; anything else: only the watching ends. */
  readonly signal: AbortSignal;
}
