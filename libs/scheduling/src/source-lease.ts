import { MIN_PIECE_LENGTH_BYTES, type Peer } from './task.js';

/** A seed that was asked to fetch a task, as its scheduler sees it. */
export interface SeedTrigger {
  /** Host id of the seed. */
  readonly hostId: string;
  /** Its answer stream has not ended. */
  isOpen: boolean;
}

/**
 * The right to fetch a task from the source; a task has at most one.
 *
 * It begins with a peer that was told to go to the source (`holder`) or with a seed that was asked to fetch
 * (`trigger`), which gets a holder when that seed registers.
 */
export interface SourceLease {
  holder: Peer | undefined;
  readonly trigger: SeedTrigger | undefined;
  /** Host ids of seeds that could not be reached before this trigger. */
  readonly unreachableSeeds: ReadonlySet<string>;
  /** Any message of the holder or of the trigger's stream. */
  lastSignOfLifeMs: number;
  /** The last finished piece; the beginning of the lease when there was none. */
  lastProgressMs: number;
}

/**
 * Until when the lease lives without a further piece.
 *
 * @param stallTimeoutMs for pieces of up to 4 MiB; longer pieces get proportionally more
 */
export function stallDeadlineMs(lease: SourceLease, stallTimeoutMs: number, pieceLengthBytes: number): number {
  return lease.lastProgressMs + stallTimeoutMs * Math.max(1, pieceLengthBytes / MIN_PIECE_LENGTH_BYTES);
}

/** Whether the holder or the trigger can still say something. */
export function isConnected(lease: SourceLease): boolean {
  if (lease.trigger?.isOpen === true) return true;
  return lease.holder !== undefined && lease.holder.isAttached && !lease.holder.isDone;
}

/** A lease that begins now. */
export function newLease(
  begin: {
    readonly holder?: Peer;
    readonly trigger?: SeedTrigger;
    readonly unreachableSeeds?: ReadonlySet<string>;
  },
  nowMs: number,
): SourceLease {
  return {
    holder: begin.holder,
    trigger: begin.trigger,
    unreachableSeeds: begin.unreachableSeeds ?? new Set(),
    lastSignOfLifeMs: nowMs,
    lastProgressMs: nowMs,
  };
}

/** Whether a peer could fetch from the lease's holder once that has something. */
export function isOfUse(lease: SourceLease, peer: Peer): boolean {
  const { holder } = lease;
  if (holder === undefined) return lease.trigger?.hostId !== peer.host.id;
  return holder.host !== peer.host && !peer.hasBlocked(holder.id) && !holder.host.facts.isSharingDisabled;
}
