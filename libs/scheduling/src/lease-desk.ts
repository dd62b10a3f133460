import type { Clock } from './clock.js';
import type { LeaseAuthority, LeaseHandle, LeaseVerdict } from './lease-authority.js';
import { sourcePolicyOf } from './priority.js';
import type { SeedLead } from './seed-lead.js';
import { newLease, type SourceLease } from './source-lease.js';
import type { Peer, Task } from './task.js';
import { dropLease, endLease, leadersFirst, type TaskTurn } from './task-turn.js';
import { hasRoomAtSource, isAlive, mayGoToSource, type SourceLimits } from './wait-rules.js';
import type { ScheduleAnswer } from './waiter.js';

/** A lease that somebody else has is asked for again after this time, as long as somebody waits for it. */
const RECHECK_INTERVAL_MS = 500;

const NOBODY: ReadonlySet<string> = new Set();

/** An answer, or that the peer has to wait. */
export type Lead = ScheduleAnswer | 'wait';

export interface LeaseDeskParts {
  readonly clock: Clock;
  readonly authority: LeaseAuthority;
  readonly seedLead: SeedLead;
  readonly sourceLimits: SourceLimits;
}

/** Those who wait, as far as the desk deals with them. */
export interface WaitingRoom {
  /** Finds parents for a peer and draws the edges. */
  attach(peer: Peer, nowMs: number): ScheduleAnswer | undefined;
  answer(peer: Peer, answer: ScheduleAnswer): void;
  /** Deadlines may have moved. */
  rearm(task: Task, turn: TaskTurn): void;
}

/** Gives source leases out: to the peer or the seed that may have one, once the authority has nothing against it. */
export class LeaseDesk {
  readonly #parts: LeaseDeskParts;
  readonly #room: WaitingRoom;
  /** Leases of peers that are at the source beside their task's holder. */
  readonly #joined = new Map<Peer, LeaseHandle>();
  #isClosed = false;

  constructor(parts: LeaseDeskParts, room: WaitingRoom) {
    this.#parts = parts;
    this.#room = room;
  }

  /** Nobody is given a lease any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Asks the authority for the lease; until it has decided the turn has one that is nobody's. */
  claim(turn: TaskTurn, peer: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): Lead {
    const { task } = peer;
    const reader = { taskId: task.id, url: task.facts.url, hostId: readerHostOf(peer, turn.lease), peerId: peer.id };
    const lease = newLease('claiming', nowMs, { unreachableSeeds });
    endLease(turn);
    turn.lease = lease;
    const asked: { isInCall: boolean; verdict?: LeaseVerdict } = { isInCall: true };
    this.#parts.authority.claim(reader, (verdict) => {
      if (asked.isInCall) asked.verdict = verdict;
      else this.#decided(turn, lease, peer, verdict);
    });
    asked.isInCall = false;
    if (asked.verdict === undefined) return 'wait';
    if (!this.#take(lease, asked.verdict, nowMs)) return 'wait';
    const lead = this.#use(turn, lease, peer);
    if (turn.lease === lease && isNobodys(lease)) endLease(turn);
    return lead;
  }

  /** @returns whether the lease is ours */
  #take(lease: SourceLease, verdict: LeaseVerdict, nowMs: number): boolean {
    lease.lastSignOfLifeMs = nowMs;
    lease.lastProgressMs = nowMs;
    if (verdict.kind === 'granted') {
      lease.phase = 'held';
      lease.handle = verdict.handle;
      return true;
    }
    lease.phase = 'elsewhere';
    lease.elsewhere = verdict.kind === 'taken' ? verdict.holder : undefined;
    lease.recheckAtMs = nowMs + RECHECK_INTERVAL_MS;
    return false;
  }

  /** The authority has taken its time. */
  #decided(turn: TaskTurn, lease: SourceLease, claimant: Peer, verdict: LeaseVerdict): void {
    if (this.#isClosed || turn.lease !== lease) {
      if (verdict.kind === 'granted') verdict.handle.release();
      return;
    }
    const { task } = claimant;
    const nowMs = this.#parts.clock.nowMs();
    if (this.#take(lease, verdict, nowMs)) {
      // Meanwhile the one that asked may have gone, and others may have come.
      for (const peer of leadersFirst([claimant, ...turn.waiters.keys()])) {
        if (turn.lease !== lease || !isNobodys(lease)) break;
        if (!turn.waiters.has(peer)) continue;
        const lead = this.#room.attach(peer, nowMs) ?? this.#use(turn, lease, peer);
        if (lead !== 'wait') this.#room.answer(peer, lead);
      }
      if (turn.lease === lease && isNobodys(lease)) endLease(turn);
    } else {
      // The reader that is known elsewhere may have come here meanwhile.
      const reader = [...turn.waiters.keys()].find((peer) => isOwnElsewhere(lease, peer));
      if (reader !== undefined && reader !== claimant) {
        const lead = this.claim(turn, reader, nowMs, NOBODY);
        if (lead !== 'wait') this.#room.answer(reader, lead);
      }
    }
    this.#room.rearm(task, turn);
  }

  /** Gives a lease that is ours, and nobody's yet, to a seed or to the peer. */
  #use(turn: TaskTurn, lease: SourceLease, peer: Peer): Lead {
    const wasBound = peer.needsBackToSource;
    if (!wasBound) {
      if (sourcePolicyOf(peer.priority) === 'seed-first' && this.#parts.seedLead.take(turn, lease, peer)) return 'wait';
      if (!this.mayGoNow(peer)) return 'wait';
    }
    lease.holder = peer;
    lease.handle?.passTo({ hostId: peer.host.id, peerId: peer.id });
    return grant(peer, wasBound ? SOURCE_WANTED : 'no other peer has the task and the source is free');
  }

  /** Whether the peer may go to the source when nobody has the lease. */
  mayGoNow(peer: Peer): boolean {
    return mayGoToSource(peer) && hasRoomAtSource(peer, undefined, this.#parts.sourceLimits);
  }

  /** A peer reads the source, told to or not, and nobody has the lease: it is taken for the holder. */
  adopt(turn: TaskTurn, peer: Peer, nowMs: number): void {
    const { task } = peer;
    const lease = newLease('held', nowMs, { holder: peer });
    endLease(turn);
    turn.lease = lease;
    const reader = { taskId: task.id, url: task.facts.url, hostId: peer.host.id, peerId: peer.id };
    this.#parts.authority.claim(reader, (verdict) => {
      if (verdict.kind !== 'granted') return;
      if (turn.lease === lease) lease.handle = verdict.handle;
      else verdict.handle.release();
    });
  }

  /** Whether there is a lease that is worth waiting for; one that is not is dropped. */
  isLeaseAlive(task: Task, turn: TaskTurn, nowMs: number): boolean {
    if (turn.lease !== undefined) {
      if (isAlive(turn.lease, task.pieceLengthBytes, this.#parts.sourceLimits, nowMs)) return true;
      dropLease(task, turn, turn.lease, nowMs);
    }
    this.adoptReader(task, turn, nowMs);
    return turn.lease !== undefined;
  }

  /** Without a lease: one that reads the source without having been told is as good as a holder. */
  adoptReader(task: Task, turn: TaskTurn, nowMs: number): void {
    if (turn.lease !== undefined || task.backToSourcePeers.size === 0) return;
    for (const peer of task.backToSourcePeers) {
      if (!peer.isAttached || peer.isDone) continue;
      this.adopt(turn, peer, nowMs);
      return;
    }
  }

  /** Sends a peer to the source beside the holder, which is of no use to it, if the authority agrees. */
  join(turn: TaskTurn, peer: Peer): void {
    const { task } = peer;
    const reader = { taskId: task.id, url: task.facts.url, hostId: peer.host.id, peerId: peer.id };
    // It waits on, and is looked at again, unless the answer is yes.
    const waiter = turn.waiters.get(peer);
    if (waiter !== undefined) turn.waiters.set(peer, { ...waiter, sinceMs: this.#parts.clock.nowMs() });
    this.#parts.authority.claim(reader, (verdict) => {
      if (verdict.kind !== 'granted') return;
      if (!turn.waiters.has(peer) || this.#isClosed) {
        verdict.handle.release();
        return;
      }
      this.#joined.set(peer, verdict.handle);
      this.#room.answer(peer, grant(peer, 'the peer that fetches the task from the source is of no use to this one'));
    });
  }

  hasJoined(peer: Peer): boolean {
    return this.#joined.has(peer);
  }

  /** The peer is not at the source any more, if it was there beside a holder. */
  leave(peer: Peer): void {
    this.#joined.get(peer)?.release();
    this.#joined.delete(peer);
  }
}

/** Why a peer is sent to the source that asked for that itself; stands in the answer as it is. */
export const SOURCE_WANTED = "peer's NeedBackToSource is true";

/** The peer's own host, unless a seed may be asked in its place. */
function readerHostOf(peer: Peer, before: SourceLease | undefined): string {
  const isOwn = peer.needsBackToSource || peer.host.facts.isSeed || sourcePolicyOf(peer.priority) === 'requester';
  return isOwn || isOwnElsewhere(before, peer) ? peer.host.id : '';
}

/** A lease that was granted and not given to anybody yet. */
function isNobodys(lease: SourceLease): boolean {
  return lease.holder === undefined && lease.trigger === undefined;
}

/** Whether the host that another scheduler takes for the reader of the source is the peer's own. */
export function isOwnElsewhere(lease: SourceLease | undefined, peer: Peer): boolean {
  return lease?.phase === 'elsewhere' && lease.elsewhere?.hostId === peer.host.id;
}

/** Whether the lease was given to the peer's host, and the peer is the one that carries it out. */
export function isTriggered(lease: SourceLease | undefined, peer: Peer): boolean {
  return lease?.holder === peer && lease.trigger?.hostId === peer.host.id && mayGoToSource(peer);
}

/** Tells a peer to go to the source. */
export function grant(peer: Peer, reason: string): ScheduleAnswer {
  peer.needsBackToSource = true;
  peer.task.backToSourcePeers.add(peer);
  return { kind: 'back-to-source', reason };
}
