import type { LeaseHandle, LeaseHolder } from './lease-authority.js';
import { MIN_PIECE_LENGTH_BYTES, type Peer } from './task.js';

/** A seed that was asked to fetch a task, as its scheduler sees it. */
export interface SeedTrigger {
  /** Host id of the seed. */
  readonly hostId: string;
  /** Its answer stream has not ended. */
  isOpen: boolean;
}

/**
 * Where a lease stands.
 *
 * - `claiming`: the authority has not answered yet; everybody waits.
 * - `held`: a peer or a seed of this scheduler has it.
 * - `elsewhere`: somebody has it whom this scheduler does not serve, or the origin has no room; asked again later.
 */
export type LeasePhase = 'claiming' | 'held' | 'elsewhere';

/**
 * The right to fetch a task from the source; a task has at most one that others wait for.
 *
 * It begins with a peer that was told to go to the source (`holder`) or with a seed that was asked to fetch
 * (`trigger`), which gets a holder when that seed registers.
 */
export interface SourceLease {
  phase: LeasePhase;
  holder: Peer | undefined;
  trigger: SeedTrigger | undefined;
  /** Who has it, where it is `elsewhere`; undefined when only the origin has no room. */
  elsewhere: LeaseHolder | undefined;
  /** When it is `elsewhere`: time to ask again. */
  recheckAtMs: number;
  /** What the authority gave. */
  handle: LeaseHandle | undefined;
  /** Host ids of seeds that could not be reached before this trigger. */
  readonly unreachableSeeds: ReadonlySet<string>;
  /** Any message of the holder or of the trigger's stream. */
  lastSignOfLifeMs: number;
  /** The last finished piece; the beginning of the lease when there was none. */
  lastProgressMs: number;
}

const NOBODY: ReadonlySet<string> = new Set();

/** A lease that begins now. */
export function newLease(
  phase: LeasePhase,
  nowMs: number,
  begin: { readonly holder?: Peer; readonly unreachableSeeds?: ReadonlySet<string> } = {},
): SourceLease {
  return {
    phase,
    holder: begin.holder,
    trigger: undefined,
    elsewhere: undefined,
    recheckAtMs: Infinity,
    handle: undefined,
    unreachableSeeds: begin.unreachableSeeds ?? NOBODY,
    lastSignOfLifeMs: nowMs,
    lastProgressMs: nowMs,
  };
}

/**
 * Until when the lease lives without a further piece. Leases of others are not ours to judge.
 *
 * @param stallTimeoutMs for pieces of up to 4 MiB; longer pieces get proportionally more
 */
export function stallDeadlineMs(lease: SourceLease, stallTimeoutMs: number, pieceLengthBytes: number): number {
  if (lease.phase !== 'held') return Infinity;
  return lease.lastProgressMs + stallTimeoutMs * Math.max(1, pieceLengthBytes / MIN_PIECE_LENGTH_BYTES);
}

/** Whether the holder or the trigger can still say something. */
export function isConnected(lease: SourceLease): boolean {
  if (lease.phase !== 'held' || lease.trigger?.isOpen === true) return true;
  return lease.holder !== undefined && lease.holder.isAttached && !lease.holder.isDone;
}

/** Whether a peer could fetch from the lease's holder once that has something. */
export function isOfUse(lease: SourceLease, peer: Peer): boolean {
  if (lease.phase !== 'held') return lease.elsewhere?.hostId !== peer.host.id;
  const { holder } = lease;
  if (holder === undefined) return lease.trigger?.hostId !== peer.host.id;
  return holder.host !== peer.host && !peer.hasBlocked(holder.id) && !holder.host.facts.isSharingDisabled;
}
