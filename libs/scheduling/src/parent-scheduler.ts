import { Alarm } from './alarm.js';
import { type CandidateLimits, selectParents } from './candidates.js';
import type { Clock } from './clock.js';
import { sourcePolicyOf } from './priority.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { SeedLead } from './seed-lead.js';
import { isConnected, isOfUse, newLease, type SourceLease } from './source-lease.js';
import type { Strategy } from './strategy.js';
import type { Peer, Task } from './task.js';
import { dropLease, type TaskTurn } from './task-turn.js';
import {
  hasRoomAtSource,
  isAlive,
  leaseDeadlineMs,
  mayGoToSource,
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
}

/** Waiting peers that are looked at in one turn of the event loop when a parent has become usable. */
const WAKE_BATCH = 128;

const NOBODY: ReadonlySet<string> = new Set();

/** An answer, or that the peer has to wait. */
type Lead = ScheduleAnswer | 'wait';

/**
 * Answers "from whom?": finds parents for peers, lets peers wait until there are some, and decides who fetches a task
 * from the source.
 *
 * At most one peer of a task, or one triggered seed, holds the *source lease*. While it lives the others wait; they are
 * answered in the very call that makes a parent usable. When the lease ends without a usable parent, the peer that waits
 * longest gets the next one.
 */
export class ParentScheduler {
  readonly #options: ParentSchedulerOptions;
  readonly #seedLead: SeedLead;
  readonly #turns = new WeakMap<Task, TaskTurn>();
  /** Turns with somebody waiting; only these have their alarm set. */
  readonly #busy = new Set<TaskTurn>();
  #waitingCount = 0;
  #isClosed = false;

  constructor(options: ParentSchedulerOptions) {
    this.#options = options;
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
    if (peer.needsBackToSource && this.#takeRequestedLease(turn, peer, nowMs)) {
      answer(grant(peer, "peer's NeedBackToSource is true"));
      return;
    }
    const parents = this.#attach(peer, nowMs);
    if (parents !== undefined) {
      answer(parents);
      return;
    }
    const lead = this.#isLeaseAlive(task, turn, nowMs) ? 'wait' : this.#lead(turn, peer, nowMs, NOBODY);
    if (lead === 'wait') this.#enqueue(turn, peer, { sinceMs: nowMs, answer });
    else answer(lead);
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
    if (!this.#isLeaseAlive(task, turn, nowMs)) turn.lease = newLease({ holder: peer }, nowMs);
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
    this.#wake(turn);
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
    this.#release(turn, peer);
  }

  /** The peer was marked Leave; it will be deleted. */
  left(peer: Peer): void {
    const waiter = this.#dequeue(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.task.detachFromParents(peer);
    peer.task.refreshOfferable(peer);
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
    if (turn.lease?.holder === peer && !isConnected(turn.lease)) this.#release(turn, peer);
  }

  /** The content length has become known, or the lengths have changed. */
  contentChanged(task: Task): void {
    for (const peer of task.peers.values()) task.refreshOfferable(peer);
    this.#wake(this.#turnOf(task));
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

  /** A peer that asks for the source gets the lease when it is free, or is its own already. */
  #takeRequestedLease(turn: TaskTurn, peer: Peer, nowMs: number): boolean {
    if (turn.lease?.holder === peer) return true;
    if (this.#isLeaseAlive(peer.task, turn, nowMs)) return false;
    if (!hasRoomAtSource(peer, this.#options.sourceLimits)) return false;
    turn.lease = newLease({ holder: peer }, nowMs);
    return true;
  }

  /** Makes somebody fetch the task from the source, on behalf of `peer`; no lease is alive. */
  #lead(turn: TaskTurn, peer: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): Lead {
    switch (sourcePolicyOf(peer.priority)) {
      case 'forbidden':
        return { kind: 'refused', code: 'failed-precondition', message: 'LEVEL1 peer is forbidden' };
      case 'nobody':
        return { kind: 'refused', code: 'not-found', message: 'LEVEL2 peer not found candidate peers' };
      case 'seed-first':
        if (this.#seedLead.take(turn, peer, unreachableSeeds)) return 'wait';
        break;
      case 'requester':
        break;
    }
    if (!mayGoToSource(peer, this.#options.sourceLimits)) return 'wait';
    turn.lease = newLease({ holder: peer }, nowMs);
    return grant(peer, 'no other peer has the task and the source is free');
  }

  #triggerEnded(task: Task, turn: TaskTurn, result: SeedTriggerResult): void {
    const lease = turn.lease;
    turn.lease = undefined;
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
    if (turn.lease?.holder === peer) turn.lease = undefined;
    if (turn.lease === undefined) this.#promote(peer.task, turn, NOBODY);
  }

  /** Without a lease: gives the waiting peers what there is, and the lease to the first that may have it. */
  #promote(task: Task, turn: TaskTurn, unreachableSeeds: ReadonlySet<string>): void {
    if (turn.waiters.size === 0 || this.#isClosed) return;
    const nowMs = this.#nowMs();
    for (const peer of [...turn.waiters.keys()]) {
      if (turn.lease !== undefined) break;
      if (!turn.waiters.has(peer)) continue;
      const lead = this.#attach(peer, nowMs) ?? this.#lead(turn, peer, nowMs, unreachableSeeds);
      if (lead !== 'wait') this.#answer(peer, lead);
    }
    this.#rearm(task, turn);
  }

  #refresh(peer: Peer): void {
    if (peer.task.refreshOfferable(peer)) this.#wake(this.#turnOf(peer.task));
  }

  /** Looks for parents for every waiting peer, a batch in this turn and the rest in the next ones. */
  #wake(turn: TaskTurn): void {
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
    if (turn.lease === undefined) return false;
    if (isAlive(turn.lease, task.pieceLengthBytes, this.#options.sourceLimits, nowMs)) return true;
    dropLease(turn, turn.lease, nowMs);
    return false;
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
    if (lease !== undefined && isOfUse(lease, peer)) {
      dropLease(turn, lease, nowMs);
      this.#promote(peer.task, turn, NOBODY);
      return;
    }
    if (lease !== undefined && mayGoToSource(peer, this.#options.sourceLimits)) {
      this.#answer(peer, grant(peer, 'the peer that fetches the task from the source is of no use to this one'));
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
}

/** Tells a peer to go to the source. */
function grant(peer: Peer, reason: string): ScheduleAnswer {
  peer.needsBackToSource = true;
  peer.task.backToSourcePeers.add(peer);
  return { kind: 'back-to-source', reason };
}
