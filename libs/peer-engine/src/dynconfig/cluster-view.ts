import type { BlockList } from './block-list.js';

/** A scheduler as the manager (or a file) tells of it. */
export interface SchedulerAddress {
  /** Member name on the ring; empty when only an address is known. */
  readonly hostname: string;
  /** IP or name, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly clusterId: number;
}

/** What a daemon knows about its cluster. */
export interface ClusterView {
  /** In the order of preference of the manager. */
  readonly schedulers: readonly SchedulerAddress[];
  readonly blockList: BlockList;
}

/** Where cluster views come from. */
export interface DynconfigSource {
  /** For logs and readiness: "manager manager:65003", "file /etc/…". */
  readonly name: string;
  /** @throws DfError when there is no view to be had now */
  load(signal: AbortSignal): Promise<ClusterView>;
}
