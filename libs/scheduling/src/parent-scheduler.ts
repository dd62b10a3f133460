import { Alarm } from './alarm.js';
import { type CandidateLimits, canServe, selectParents } from './candidates.js';
import type { Clock } from './clock.js';
import { type LeaseAuthority, type LeaseHandle, type LeaseVerdict, soleAuthority } from './lease-authority.js';
import { sourcePolicyOf } from './priority.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { SeedLead } from './seed-lead.js';
import { isConnected, isOfUse, newLease, type SourceLease } from './source-lease.js';
import type { Strategy } from './strategy.js';
import type { Peer, Task } from './task.js';
import { dropLease, endLease, type TaskTurn } from './task-turn.js';
import {
  hasRoomAtSource,
  isAlive,
  leaseDeadlineMs,
  mayGoToSource,
  mayJoinAtSource,
  type SourceLimits,
  waitDeadlineMs,
} from './wait-rules.js';
import type { ScheduleAnswer, Waiter } from './waiter.js';

export interface ParentSchedulerOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly seeds: SeedGateway;
  /** Asked anew for every choice: the manager may change them at any time. */
  readonly limits: () => CandidateLimits;
  readonly strategyFor: (task: Task) => Strategy;
  readonly sourceLimits: SourceLimits;
  /** Told of every choice, also of one that found nobody; `peer.strategyLabel` says whose it was. */
  readonly onDecision?: (peer: Peer, parents: readonly Peer[]) => void;
  /** The task has one more peer that can serve. */
  readonly onParentFound?: (task: Task) => void;
  /** A peer that some fetch from serves no more. */
  readonly onParentGone?: (parent: Peer, children: readonly Peer[]) => void;
  /** Asked for every lease. @default grants all */
  readonly authority?: LeaseAuthority;
}

/** Waiting peers that are looked at in one turn of the event loop when a parent has become usable. */
const WAKE_BATCH = 128;

/** A lease that somebody else has is asked for again after this time, as long as somebody waits for it. */
const RECHECK_INTERVAL_MS = 500;

const NOBODY: ReadonlySet<string> = new Set();

/** An answer, or that the peer has to wait. */
type Lead = ScheduleAnswer | 'wait';

/**
 * Answers "from whom?": finds parents for peers, lets peers wait until there are some, and decides who fetches a task
 * from the source.
 *
 * At most one peer of a task, or one triggered seed, holds the *source lease*. While it lives the others wait; they are
 * answered in the very call that makes a parent usable. When the lease ends without a usable parent, the peer that waits
 * longest gets the next one. The task's own state decides whether a lease is to be had at all; only then the authority is
 * asked, which knows of readers that this scheduler does not serve.
 */
export class ParentScheduler {
  readonly #options: ParentSchedulerOptions;
  readonly #seedLead: SeedLead;
  readonly #turns = new WeakMap<Task, TaskTurn>();
  /** Turns with somebody waiting; only these have their alarm set. */
  readonly #busy = new Set<TaskTurn>();
  /** Leases of peers that are at the source beside their task's holder. */
  readonly #joined = new Map<Peer, LeaseHandle>();
  readonly #authority: LeaseAuthority;
  #waitingCount = 0;
  #isClosed = false;

  constructor(options: ParentSchedulerOptions) {
    this.#options = options;
    this.#authority = options.authority ?? soleAuthority;
    this.#seedLead = new SeedLead(options.seeds, options.clock, (task, turn, result) => {
      this.#triggerEnded(task, turn, result);
    });
  }

  /** Peers that wait for an answer now. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Who fetches the task from the source, or has last done so. */
  leaseOf(task: Task): SourceLease | undefined {
    return this.#turns.get(task)?.lease;
  }

  /** Forgets all timers; nobody that waits is answered any more. */
  close(): void {
    this.#isClosed = true;
    for (const turn of this.#busy) turn.alarm.off();
  }

  /** A peer has registered: a seed that was triggered for the task is recognised here. */
  registered(peer: Peer): void {
    const lease = this.leaseOf(peer.task);
    if (lease?.trigger?.hostId !== peer.host.id) return;
    if (lease.holder !== undefined && lease.holder.isAttached && !lease.holder.isDone) return;
    lease.holder = peer;
    lease.lastSignOfLifeMs = this.#nowMs();
    lease.handle?.passTo({ hostId: peer.host.id, peerId: peer.id });
  }

  /**
   * Finds parents for the peer, which gives up those it has.
   *
   * @param answer called once: now, or when a parent has become usable, the source is free or the wait is over. Not
   *   called when the peer detaches or is removed before.
   */
  schedule(peer: Peer, answer: (answer: ScheduleAnswer) => void): void {
    const { task } = peer;
    if (peer.state !== 'ReceivedNormal' && peer.state !== 'Running') {
      answer({
        kind: 'refused',
        code: 'failed-precondition',
        message: `peer ${peer.id} cannot be scheduled in state ${peer.state}`,
      });
      return;
    }
    const turn = this.#turnOf(task);
    const nowMs = this.#nowMs();
    // Also of a peer that goes to the source: an A/B test compares all downloads of a task.
    peer.strategyLabel = this.#options.strategyFor(task).name;
    this.#dequeue(peer);
    task.detachFromParents(peer);
    // Bound for the source, or on the host that another scheduler thinks is there: it carries on what it has begun.
    const isLeaseAlive = this.#isLeaseAlive(task, turn, nowMs) && !isOwnElsewhere(turn.lease, peer);
    let lead: Lead | undefined;
    if (peer.needsBackToSource) {
      if (turn.lease?.holder === peer) lead = grant(peer, SOURCE_WANTED);
      else if (!isLeaseAlive && hasRoomAtSource(peer, undefined, this.#options.sourceLimits)) {
        lead = this.#claim(turn, peer, nowMs, NOBODY);
      }
    }
    lead ??= this.#attach(peer, nowMs) ?? (isLeaseAlive ? 'wait' : this.#lead(turn, peer, nowMs, NOBODY));
    if (lead === 'wait') this.#enqueue(turn, peer, { sinceMs: nowMs, answer });
    else answer(lead);
  }

  /**
   * Finds parents for a peer that is downloading, beside those it has.
   *
   * @returns the new ones, best first, and whether the peer could do with still more
   */
  extend(peer: Peer): { readonly parents: readonly Peer[]; readonly hasRoom: boolean } {
    const { limits, strategyFor, random } = this.#options;
    const { task } = peer;
    if (peer.state !== 'Running' || this.#isClosed || this.#turns.get(task)?.waiters.has(peer) === true) {
      return { parents: [], hasRoom: !peer.isDone };
    }
    const bounds = limits();
    const room = bounds.candidateParentLimit - peer.parents.filter(canServe).length;
    if (room <= 0) return { parents: [], hasRoom: false };
    const found = selectParents(peer, bounds, strategyFor(task), this.#nowMs(), random);
    const parents = found.filter((parent) => !peer.parents.includes(parent)).slice(0, room);
    if (parents.length > 0) task.addParents(peer, parents);
    return { parents, hasRoom: parents.length < room };
  }

  /** A holder that has to report besides has not done so: it is taken for dead. */
  holderSilent(peer: Peer): void {
    const { task } = peer;
    const turn = this.#turnOf(task);
    if (turn.lease?.holder !== peer || turn.lease.phase !== 'held') return;
    dropLease(task, turn, turn.lease, this.#nowMs());
    this.#promote(task, turn, NOBODY);
  }

  /** The peer said something that is not a piece. */
  heardFrom(peer: Peer): void {
    const lease = this.leaseOf(peer.task);
    if (lease?.holder === peer) lease.lastSignOfLifeMs = this.#nowMs();
    this.#refresh(peer);
  }

  /** The peer has begun to fetch from the source, told to or not. */
  wentToSource(peer: Peer): void {
    const { task } = peer;
    const turn = this.#turnOf(task);
    const nowMs = this.#nowMs();
    task.detachFromParents(peer);
    task.backToSourcePeers.add(peer);
    if (!this.#isLeaseAlive(task, turn, nowMs)) this.#adopt(turn, peer, nowMs);
    this.heardFrom(peer);
  }

  /** The peer has reported a finished piece; it is in its piece set already. */
  pieceFinished(peer: Peer, nowMs: number): void {
    const lease = this.leaseOf(peer.task);
    if (lease?.holder === peer) {
      lease.lastSignOfLifeMs = nowMs;
      lease.lastProgressMs = nowMs;
    }
    if (peer.offerableSlot < 0) this.#refresh(peer);
  }

  /** The peer has all it wanted. */
  succeeded(peer: Peer): void {
    const { task } = peer;
    const turn = this.#turnOf(task);
    task.backToSourcePeers.delete(peer);
    task.detachFromParents(peer);
    if (peer.host.facts.isSeed) turn.seedFailedAtMs = undefined;
    task.refreshOfferable(peer);
    this.#wake(task, turn);
    this.#release(turn, peer);
  }

  /** The peer has given up. */
  failed(peer: Peer): void {
    const { task } = peer;
    const turn = this.#turnOf(task);
    task.backToSourcePeers.delete(peer);
    this.#dequeue(peer);
    task.detachFromParents(peer);
    task.refreshOfferable(peer);
    if (peer.host.facts.isSeed) turn.seedFailedAtMs = this.#nowMs();
    this.#gone(peer);
    this.#release(turn, peer);
  }

  /** The peer was marked Leave; it will be deleted. */
  left(peer: Peer): void {
    const waiter = this.#dequeue(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.task.detachFromParents(peer);
    peer.task.refreshOfferable(peer);
    this.#gone(peer);
    this.#release(this.#turnOf(peer.task), peer);
    waiter?.answer({ kind: 'refused', code: 'not-found', message: `peer ${peer.id} not found` });
  }

  /** The peer's stream has ended; nothing will be heard from it unless it had succeeded. */
  detached(peer: Peer): void {
    peer.isAttached = false;
    this.#dequeue(peer);
    peer.task.refreshOfferable(peer);
    if (peer.isDone) return;
    peer.task.backToSourcePeers.delete(peer);
    const turn = this.#turnOf(peer.task);
    const isHolder = turn.lease?.holder === peer && turn.lease !== undefined && !isConnected(turn.lease);
    if (isHolder || this.#joined.has(peer)) this.#release(turn, peer);
  }

  /** The content length has become known, or the lengths have changed. */
  contentChanged(task: Task): void {
    for (const peer of task.peers.values()) task.refreshOfferable(peer);
    this.#wake(task, this.#turnOf(task));
  }

  /**
   * To be called before a peer is deleted.
   *
   * @returns how to answer a peer that was waiting; the caller tells it
   */
  removing(peer: Peer): Waiter | undefined {
    const waiter = this.#dequeue(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.isAttached = false;
    this.#gone(peer);
    this.#release(this.#turnOf(peer.task), peer);
    return waiter;
  }

  #turnOf(task: Task): TaskTurn {
    let turn = this.#turns.get(task);
    if (turn === undefined) {
      const alarm = new Alarm(this.#options.clock, () => {
        this.#checkDeadlines(task, made);
      });
      const made: TaskTurn = {
        lease: undefined,
        waiters: new Map(),
        seedFailedAtMs: undefined,
        alarm,
        isWaking: false,
      };
      this.#turns.set(task, made);
      turn = made;
    }
    return turn;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }

  #enqueue(turn: TaskTurn, peer: Peer, waiter: Waiter): void {
    const { task } = peer;
    const { sourceLimits } = this.#options;
    turn.waiters.set(peer, waiter);
    this.#busy.add(turn);
    this.#waitingCount += 1;
    if (this.#isClosed) return;
    turn.alarm.notLaterThan(waitDeadlineMs(peer, waiter, turn.lease, sourceLimits));
    if (turn.lease !== undefined) {
      turn.alarm.notLaterThan(leaseDeadlineMs(turn.lease, task.pieceLengthBytes, sourceLimits));
    }
  }

  #dequeue(peer: Peer): Waiter | undefined {
    const turn = this.#turns.get(peer.task);
    const waiter = turn?.waiters.get(peer);
    if (turn === undefined || waiter === undefined) return undefined;
    turn.waiters.delete(peer);
    this.#waitingCount -= 1;
    if (turn.waiters.size === 0) {
      turn.alarm.off();
      this.#busy.delete(turn);
    }
    return waiter;
  }

  #answer(peer: Peer, answer: ScheduleAnswer): void {
    this.#dequeue(peer)?.answer(answer);
  }

  /** Chooses parents and draws the edges. */
  #attach(peer: Peer, nowMs: number): ScheduleAnswer | undefined {
    const { limits, strategyFor, random, onDecision } = this.#options;
    const strategy = strategyFor(peer.task);
    peer.strategyLabel = strategy.name;
    const parents = selectParents(peer, limits(), strategy, nowMs, random);
    onDecision?.(peer, parents);
    if (parents.length === 0) return undefined;
    peer.task.attachToParents(peer, parents);
    return { kind: 'parents', parents };
  }

  /** Makes somebody fetch the task from the source, on behalf of `peer`; no lease is alive. */
  #lead(turn: TaskTurn, peer: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): Lead {
    const policy = sourcePolicyOf(peer.priority);
    switch (policy) {
      case 'forbidden':
        return { kind: 'refused', code: 'failed-precondition', message: 'LEVEL1 peer is forbidden' };
      case 'nobody':
        return { kind: 'refused', code: 'not-found', message: 'LEVEL2 peer not found candidate peers' };
      case 'seed-first':
        break;
      case 'requester':
        if (!this.#mayGoNow(peer)) return 'wait';
        break;
    }
    return this.#claim(turn, peer, nowMs, unreachableSeeds);
  }

  /** Asks the authority for the lease; until it has decided the turn has one that is nobody's. */
  #claim(turn: TaskTurn, peer: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): Lead {
    const { task } = peer;
    const reader = { taskId: task.id, url: task.facts.url, hostId: readerHostOf(peer, turn.lease), peerId: peer.id };
    const lease = newLease('claiming', nowMs, { unreachableSeeds });
    endLease(turn);
    turn.lease = lease;
    const asked: { isInCall: boolean; verdict?: LeaseVerdict } = { isInCall: true };
    this.#authority.claim(reader, (verdict) => {
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
    const nowMs = this.#nowMs();
    if (this.#take(lease, verdict, nowMs)) {
      // Meanwhile the one that asked may have gone, and others may have come.
      for (const peer of [claimant, ...turn.waiters.keys()]) {
        if (turn.lease !== lease || !isNobodys(lease)) break;
        if (!turn.waiters.has(peer)) continue;
        const lead = this.#attach(peer, nowMs) ?? this.#use(turn, lease, peer);
        if (lead !== 'wait') this.#answer(peer, lead);
      }
      if (turn.lease === lease && isNobodys(lease)) endLease(turn);
    } else {
      // The reader that is known elsewhere may have come here meanwhile.
      const reader = [...turn.waiters.keys()].find((peer) => isOwnElsewhere(lease, peer));
      if (reader !== undefined && reader !== claimant) {
        const lead = this.#claim(turn, reader, nowMs, NOBODY);
        if (lead !== 'wait') this.#answer(reader, lead);
      }
    }
    this.#rearm(task, turn);
  }

  /** Gives a lease that is ours, and nobody's yet, to a seed or to the peer. */
  #use(turn: TaskTurn, lease: SourceLease, peer: Peer): Lead {
    const wasBound = peer.needsBackToSource;
    if (!wasBound) {
      if (sourcePolicyOf(peer.priority) === 'seed-first' && this.#seedLead.take(turn, lease, peer)) return 'wait';
      if (!this.#mayGoNow(peer)) return 'wait';
    }
    lease.holder = peer;
    lease.handle?.passTo({ hostId: peer.host.id, peerId: peer.id });
    return grant(peer, wasBound ? SOURCE_WANTED : 'no other peer has the task and the source is free');
  }

  /** Whether the peer may go to the source when nobody has the lease. */
  #mayGoNow(peer: Peer): boolean {
    return mayGoToSource(peer) && hasRoomAtSource(peer, undefined, this.#options.sourceLimits);
  }

  /** A peer reads the source, told to or not, and nobody has the lease: it is taken for the holder. */
  #adopt(turn: TaskTurn, peer: Peer, nowMs: number): void {
    const { task } = peer;
    const lease = newLease('held', nowMs, { holder: peer });
    endLease(turn);
    turn.lease = lease;
    const reader = { taskId: task.id, url: task.facts.url, hostId: peer.host.id, peerId: peer.id };
    this.#authority.claim(reader, (verdict) => {
      if (verdict.kind !== 'granted') return;
      if (turn.lease === lease) lease.handle = verdict.handle;
      else verdict.handle.release();
    });
  }

  #triggerEnded(task: Task, turn: TaskTurn, result: SeedTriggerResult): void {
    const lease = turn.lease;
    endLease(turn);
    if (result === 'unreachable' && lease?.trigger !== undefined) {
      this.#promote(task, turn, new Set([...lease.unreachableSeeds, lease.trigger.hostId]));
      return;
    }
    // A seed that ended well without having told this scheduler is of no use either: an old one that keeps small files
    // to itself, for instance.
    if (lease?.holder?.state !== 'Succeeded') turn.seedFailedAtMs = this.#nowMs();
    this.#promote(task, turn, NOBODY);
  }

  /** The peer needs the lease no more, if it has it; who waits gets what there is. */
  #release(turn: TaskTurn, peer: Peer): void {
    this.#joined.get(peer)?.release();
    this.#joined.delete(peer);
    if (turn.lease?.holder === peer) endLease(turn);
    if (turn.lease === undefined) this.#promote(peer.task, turn, NOBODY);
  }

  /** Without a lease: gives the waiting peers what there is, and the lease to the first that may have it. */
  #promote(task: Task, turn: TaskTurn, unreachableSeeds: ReadonlySet<string>): void {
    if (turn.waiters.size === 0 || this.#isClosed) return;
    const nowMs = this.#nowMs();
    this.#adoptReader(task, turn, nowMs);
    for (const peer of [...turn.waiters.keys()]) {
      if (turn.lease !== undefined) break;
      if (!turn.waiters.has(peer)) continue;
      const lead = this.#attach(peer, nowMs) ?? this.#lead(turn, peer, nowMs, unreachableSeeds);
      if (lead !== 'wait') this.#answer(peer, lead);
    }
    this.#rearm(task, turn);
  }

  #gone(peer: Peer): void {
    if (peer.children !== undefined) this.#options.onParentGone?.(peer, [...peer.children]);
  }

  #refresh(peer: Peer): void {
    if (peer.task.refreshOfferable(peer)) this.#wake(peer.task, this.#turnOf(peer.task));
  }

  /** Looks for parents for every waiting peer, a batch in this turn and the rest in the next ones. */
  #wake(task: Task, turn: TaskTurn): void {
    this.#options.onParentFound?.(task);
    if (turn.waiters.size === 0 || turn.isWaking || this.#isClosed) return;
    turn.isWaking = true;
    this.#wakeBatch(turn, [...turn.waiters.keys()], 0);
  }

  #wakeBatch(turn: TaskTurn, peers: readonly Peer[], from: number): void {
    const nowMs = this.#nowMs();
    const end = Math.min(peers.length, from + WAKE_BATCH);
    for (const peer of peers.slice(from, end)) {
      if (!turn.waiters.has(peer)) continue;
      const parents = this.#attach(peer, nowMs);
      if (parents !== undefined) this.#answer(peer, parents);
    }
    if (end === peers.length) {
      turn.isWaking = false;
      return;
    }
    this.#options.clock.after(0, () => {
      this.#wakeBatch(turn, peers, end);
    });
  }

  /** Whether there is a lease that is worth waiting for; one that is not is dropped. */
  #isLeaseAlive(task: Task, turn: TaskTurn, nowMs: number): boolean {
    if (turn.lease !== undefined) {
      if (isAlive(turn.lease, task.pieceLengthBytes, this.#options.sourceLimits, nowMs)) return true;
      dropLease(task, turn, turn.lease, nowMs);
    }
    this.#adoptReader(task, turn, nowMs);
    return turn.lease !== undefined;
  }

  /** Without a lease: one that reads the source without having been told is as good as a holder. */
  #adoptReader(task: Task, turn: TaskTurn, nowMs: number): void {
    if (turn.lease !== undefined || task.backToSourcePeers.size === 0) return;
    for (const peer of task.backToSourcePeers) {
      if (!peer.isAttached || peer.isDone) continue;
      this.#adopt(turn, peer, nowMs);
      return;
    }
  }

  /** After anything that may have moved deadlines to an earlier time. */
  #rearm(task: Task, turn: TaskTurn): void {
    turn.alarm.off();
    if (turn.waiters.size === 0 || this.#isClosed) return;
    const { sourceLimits } = this.#options;
    const { lease } = turn;
    if (lease !== undefined) turn.alarm.notLaterThan(leaseDeadlineMs(lease, task.pieceLengthBytes, sourceLimits));
    let atMs = Infinity;
    for (const [peer, waiter] of turn.waiters) {
      atMs = Math.min(atMs, waitDeadlineMs(peer, waiter, lease, sourceLimits));
    }
    turn.alarm.notLaterThan(atMs);
  }

  #checkDeadlines(task: Task, turn: TaskTurn): void {
    const nowMs = this.#nowMs();
    if (turn.lease !== undefined && !this.#isLeaseAlive(task, turn, nowMs)) {
      this.#promote(task, turn, NOBODY);
      return;
    }
    if (turn.lease !== undefined && turn.lease.recheckAtMs <= nowMs) {
      turn.lease = undefined;
      this.#promote(task, turn, NOBODY);
      return;
    }
    for (const [peer, waiter] of [...turn.waiters]) {
      if (turn.waiters.get(peer) !== waiter) continue;
      if (nowMs < waitDeadlineMs(peer, waiter, turn.lease, this.#options.sourceLimits)) continue;
      this.#expire(turn, peer, nowMs);
    }
    this.#rearm(task, turn);
  }

  /** A peer has waited as long as it may. */
  #expire(turn: TaskTurn, peer: Peer, nowMs: number): void {
    const parents = this.#attach(peer, nowMs);
    if (parents !== undefined) {
      this.#answer(peer, parents);
      return;
    }
    const { lease } = turn;
    if (lease !== undefined && !isOfUse(lease, peer) && mayJoinAtSource(peer, lease, this.#options.sourceLimits)) {
      this.#join(turn, peer);
      return;
    }
    if (lease !== undefined && (isOfUse(lease, peer) || mayGoToSource(peer))) {
      dropLease(peer.task, turn, lease, nowMs);
      this.#promote(peer.task, turn, NOBODY);
      return;
    }
    const lead = lease === undefined ? this.#lead(turn, peer, nowMs, NOBODY) : 'wait';
    if (lead !== 'wait') this.#answer(peer, lead);
    else if (turn.lease === lease) {
      this.#answer(peer, {
        kind: 'refused',
        code: 'failed-precondition',
        message: 'no candidate parents found and the source is not allowed',
      });
    }
  }

  /** Sends a peer to the source beside the holder, which is of no use to it, if the authority agrees. */
  #join(turn: TaskTurn, peer: Peer): void {
    const { task } = peer;
    const reader = { taskId: task.id, url: task.facts.url, hostId: peer.host.id, peerId: peer.id };
    // It waits on, and is looked at again, unless the answer is yes.
    const waiter = turn.waiters.get(peer);
    if (waiter !== undefined) turn.waiters.set(peer, { ...waiter, sinceMs: this.#nowMs() });
    this.#authority.claim(reader, (verdict) => {
      if (verdict.kind !== 'granted') return;
      if (!turn.waiters.has(peer) || this.#isClosed) {
        verdict.handle.release();
        return;
      }
      this.#joined.set(peer, verdict.handle);
      this.#answer(peer, grant(peer, 'the peer that fetches the task from the source is of no use to this one'));
    });
  }
}

const SOURCE_WANTED = "peer's NeedBackToSource is true";

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
function isOwnElsewhere(lease: SourceLease | undefined, peer: Peer): boolean {
  return lease?.phase === 'elsewhere' && lease.elsewhere?.hostId === peer.host.id;
}

/** Tells a peer to go to the source. */
function grant(peer: Peer, reason: string): ScheduleAnswer {
  peer.needsBackToSource = true;
  peer.task.backToSourcePeers.add(peer);
  return { kind: 'back-to-source', reason };
}
