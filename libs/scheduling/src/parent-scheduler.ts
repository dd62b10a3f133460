import { type CandidateLimits, selectParents } from './candidates.js';
import type { Clock, Timer } from './clock.js';
import type { Peer } from './peer.js';
import { sourcePolicyOf } from './priority.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { isConnected, type SeedTrigger, type SourceLease, stallDeadlineMs } from './source-lease.js';
import type { Strategy } from './strategy.js';
import type { Task } from './task.js';
import type { ScheduleAnswer, Waiter } from './waiter.js';

/** Times and counts that bound waiting and going to the source. */
export interface SourceLimits {
  /** A lease without a finished piece for this long is over (pieces > 4 MiB get proportionally more). */
  readonly stallTimeoutMs: number;
  /** Longest wait after the lease holder's last sign of life. */
  readonly waitTimeoutMs: number;
  /** Longest wait of a peer to which the lease holder is of no use (blocked, on the same host, not sharing). */
  readonly unusableHolderWaitMs: number;
  /** Peers of a task that may be at the source at once, the lease holder included. */
  readonly backToSourceCount: number;
}

export interface ParentSchedulerOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly seeds: SeedGateway;
  /** Asked anew for every choice: the manager may change them at any time. */
  readonly limits: () => CandidateLimits;
  readonly strategyFor: (task: Task) => Strategy;
  readonly sourceLimits: SourceLimits;
}

/** A seed that could not get a task is not asked for it again for this long; the original's figure. */
const SEED_FAILURE_MEMORY_MS = 30 * 60_000;
/** Seeds that are tried for one lease when they cannot be reached. */
const MAX_SEED_ATTEMPTS = 3;
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
  readonly #timers = new Map<Task, { readonly timer: Timer; readonly atMs: number }>();
  readonly #waking = new Set<Task>();
  #waitingCount = 0;

  constructor(options: ParentSchedulerOptions) {
    this.#options = options;
  }

  /** Peers that wait for an answer now. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Forgets all timers; nothing is answered any more. */
  close(): void {
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** A peer has registered: a seed that was triggered for the task is recognised here. */
  registered(peer: Peer): void {
    const lease = peer.task.lease;
    if (lease?.trigger?.hostId !== peer.host.id) return;
    if (lease.holder !== undefined && lease.holder.isAttached && !lease.holder.isDone) return;
    lease.holder = peer;
    this.#signOfLife(peer);
  }

  /**
   * Finds parents for the peer, which gives up those it has.
   *
   * @param answer called once: now, or when a parent has become usable, the source is free or the wait is over. Not
   *   called when the peer detaches or is removed before.
   */
  schedule(peer: Peer, answer: (answer: ScheduleAnswer) => void): void {
    const { task } = peer;
    const nowMs = this.#options.clock.nowMs();
    if (peer.state !== 'ReceivedNormal' && peer.state !== 'Running') {
      answer({
        kind: 'refused',
        code: 'failed-precondition',
        message: `peer ${peer.id} cannot be scheduled in state ${peer.state}`,
      });
      return;
    }
    this.#dequeue(peer);
    task.detachFromParents(peer);
    if (peer.needsBackToSource && this.#takeRequestedLease(peer, nowMs)) {
      answer(this.#grant(peer, "peer's NeedBackToSource is true"));
      return;
    }
    const parents = this.#attach(peer, nowMs);
    if (parents !== undefined) {
      answer(parents);
      return;
    }
    const lead = this.#isAlive(task, nowMs) ? 'wait' : this.#lead(peer, nowMs, NOBODY);
    if (lead === 'wait') this.#enqueue(peer, { sinceMs: nowMs, answer });
    else answer(lead);
  }

  /** The peer said something that is not a piece. */
  heardFrom(peer: Peer): void {
    this.#signOfLife(peer);
    this.#refresh(peer);
  }

  /** The peer has begun to fetch from the source, told to or not. */
  wentToSource(peer: Peer): void {
    const { task } = peer;
    const nowMs = this.#options.clock.nowMs();
    task.detachFromParents(peer);
    task.backToSourcePeers.add(peer);
    if (!this.#isAlive(task, nowMs)) task.lease = newLease(peer, undefined, NOBODY, nowMs);
    this.heardFrom(peer);
  }

  /** The peer has reported a finished piece; it is in its piece set already. */
  pieceFinished(peer: Peer, nowMs: number): void {
    const { task } = peer;
    const lease = task.lease;
    if (lease?.holder === peer) {
      lease.lastSignOfLifeMs = nowMs;
      lease.lastProgressMs = nowMs;
    }
    if (peer.offerableSlot < 0) this.#refresh(peer);
  }

  /** The peer has all it wanted. */
  succeeded(peer: Peer): void {
    const { task } = peer;
    task.backToSourcePeers.delete(peer);
    task.detachFromParents(peer);
    if (peer.host.facts.isSeed) task.seedFailedAtMs = undefined;
    task.refreshOfferable(peer);
    this.#wake(task);
    this.#release(peer);
  }

  /** The peer has given up. */
  failed(peer: Peer): void {
    const { task } = peer;
    task.backToSourcePeers.delete(peer);
    this.#dequeue(peer);
    task.detachFromParents(peer);
    task.refreshOfferable(peer);
    if (peer.host.facts.isSeed) task.seedFailedAtMs = this.#options.clock.nowMs();
    this.#release(peer);
  }

  /** The peer was marked Leave; it will be deleted. */
  left(peer: Peer): void {
    const waiter = this.#dequeue(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.task.detachFromParents(peer);
    peer.task.refreshOfferable(peer);
    this.#release(peer);
    waiter?.answer({ kind: 'refused', code: 'not-found', message: `peer ${peer.id} not found` });
  }

  /** The peer's stream has ended; nothing will be heard from it unless it had succeeded. */
  detached(peer: Peer): void {
    peer.isAttached = false;
    this.#dequeue(peer);
    peer.task.refreshOfferable(peer);
    if (peer.isDone) return;
    peer.task.backToSourcePeers.delete(peer);
    const lease = peer.task.lease;
    if (lease?.holder === peer && !isConnected(lease)) this.#release(peer);
  }

  /** The content length has become known, or the lengths have changed. */
  contentChanged(task: Task): void {
    for (const peer of task.peers.values()) task.refreshOfferable(peer);
    this.#wake(task);
  }

  /**
   * To be called before a peer is deleted.
   *
   * @returns the answer callback of a peer that was waiting; the caller tells it
   */
  removing(peer: Peer): Waiter | undefined {
    const waiter = this.#dequeue(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.isAttached = false;
    this.#release(peer);
    return waiter;
  }

  #enqueue(peer: Peer, waiter: Waiter): void {
    const { task } = peer;
    task.waiters ??= new Map();
    task.waiters.set(peer, waiter);
    this.#waitingCount += 1;
    this.#arm(task, this.#deadlineMs(peer, waiter));
    if (task.lease !== undefined) this.#arm(task, this.#stallDeadlineMs(task, task.lease));
  }

  #dequeue(peer: Peer): Waiter | undefined {
    const { waiters } = peer.task;
    const waiter = waiters?.get(peer);
    if (waiters === undefined || waiter === undefined) return undefined;
    waiters.delete(peer);
    this.#waitingCount -= 1;
    if (waiters.size === 0) {
      peer.task.waiters = undefined;
      this.#timers.get(peer.task)?.timer.cancel();
      this.#timers.delete(peer.task);
    }
    return waiter;
  }

  #answer(peer: Peer, answer: ScheduleAnswer): void {
    this.#dequeue(peer)?.answer(answer);
  }

  /** Chooses parents and draws the edges. */
  #attach(peer: Peer, nowMs: number): ScheduleAnswer | undefined {
    const { limits, strategyFor, random } = this.#options;
    const parents = selectParents(peer, limits(), strategyFor(peer.task), nowMs, random);
    if (parents.length === 0) return undefined;
    peer.task.attachToParents(peer, parents);
    return { kind: 'parents', parents };
  }

  /** A peer that asks for the source gets the lease when it is free, or is its own already. */
  #takeRequestedLease(peer: Peer, nowMs: number): boolean {
    const { task } = peer;
    if (task.lease?.holder !== peer) {
      if (this.#isAlive(task, nowMs) || !this.#hasRoomAtSource(peer)) return false;
      task.lease = newLease(peer, undefined, NOBODY, nowMs);
    }
    return true;
  }

  #grant(peer: Peer, reason: string): ScheduleAnswer {
    peer.needsBackToSource = true;
    peer.task.backToSourcePeers.add(peer);
    return { kind: 'back-to-source', reason };
  }

  /** Makes somebody fetch the task from the source, on behalf of `peer`; no lease is alive. */
  #lead(peer: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): Lead {
    const policy = sourcePolicyOf(peer.priority);
    switch (policy) {
      case 'forbidden':
        return { kind: 'refused', code: 'failed-precondition', message: 'LEVEL1 peer is forbidden' };
      case 'nobody':
        return { kind: 'refused', code: 'not-found', message: 'LEVEL2 peer not found candidate peers' };
      case 'seed-first':
        if (this.#triggerSeed(peer, nowMs, unreachableSeeds)) return 'wait';
        break;
      case 'requester':
        break;
    }
    if (peer.isBackToSourceDisabled || !this.#hasRoomAtSource(peer)) return 'wait';
    peer.task.lease = newLease(peer, undefined, NOBODY, nowMs);
    return this.#grant(peer, 'no other peer has the task and the source is free');
  }

  #triggerSeed(requester: Peer, nowMs: number, unreachableSeeds: ReadonlySet<string>): boolean {
    const { task } = requester;
    if (requester.host.facts.isSeed || unreachableSeeds.size >= MAX_SEED_ATTEMPTS) return false;
    if (task.seedFailedAtMs !== undefined && nowMs - task.seedFailedAtMs < SEED_FAILURE_MEMORY_MS) return false;
    let lease: SourceLease | undefined;
    const trigger = this.#options.seeds.trigger({
      task,
      requester,
      excludedHostIds: unreachableSeeds,
      onSignOfLife: () => {
        if (lease === undefined) return;
        lease.lastSignOfLifeMs = this.#options.clock.nowMs();
        lease.lastProgressMs = lease.lastSignOfLifeMs;
      },
      onEnd: (result) => {
        if (lease !== undefined) this.#triggerEnded(task, lease, result);
      },
    });
    if (trigger === undefined) return false;
    lease = newLease(undefined, trigger, unreachableSeeds, nowMs);
    task.lease = lease;
    return true;
  }

  #triggerEnded(task: Task, lease: SourceLease, result: SeedTriggerResult): void {
    if (lease.trigger !== undefined) lease.trigger.isOpen = false;
    if (task.lease !== lease || isConnected(lease)) return;
    task.lease = undefined;
    if (result === 'unreachable' && lease.trigger !== undefined) {
      this.#promote(task, new Set([...lease.unreachableSeeds, lease.trigger.hostId]));
      return;
    }
    // A seed that ended well without having told this scheduler is of no use either: an old one that keeps small files
    // to itself, for instance.
    if (lease.holder?.state !== 'Succeeded') task.seedFailedAtMs = this.#options.clock.nowMs();
    this.#promote(task, NOBODY);
  }

  /** The holder needs its lease no more. */
  #release(peer: Peer): void {
    const { task } = peer;
    if (task.lease?.holder === peer) task.lease = undefined;
    else if (task.lease !== undefined) return;
    this.#promote(task, NOBODY);
  }

  /** Without a lease: gives the waiting peers what there is, and the lease to the first that may have it. */
  #promote(task: Task, unreachableSeeds: ReadonlySet<string>): void {
    if (task.waiters === undefined) return;
    const nowMs = this.#options.clock.nowMs();
    for (const peer of [...task.waiters.keys()]) {
      if (task.lease !== undefined) break;
      const lead = this.#attach(peer, nowMs) ?? this.#lead(peer, nowMs, unreachableSeeds);
      if (lead !== 'wait') this.#answer(peer, lead);
    }
    this.#rearm(task);
  }

  #refresh(peer: Peer): void {
    if (peer.task.refreshOfferable(peer)) this.#wake(peer.task);
  }

  /** Looks for parents for every waiting peer, a batch in this turn and the rest in the next ones. */
  #wake(task: Task): void {
    if (task.waiters === undefined || this.#waking.has(task)) return;
    this.#waking.add(task);
    this.#wakeBatch(task, [...task.waiters.keys()], 0);
  }

  #wakeBatch(task: Task, peers: readonly Peer[], from: number): void {
    const nowMs = this.#options.clock.nowMs();
    const end = Math.min(peers.length, from + WAKE_BATCH);
    for (let index = from; index < end; index++) {
      const peer = peers[index];
      if (peer === undefined || task.waiters?.has(peer) !== true) continue;
      const parents = this.#attach(peer, nowMs);
      if (parents !== undefined) this.#answer(peer, parents);
    }
    if (end < peers.length) {
      this.#options.clock.after(0, () => {
        this.#wakeBatch(task, peers, end);
      });
    } else {
      this.#waking.delete(task);
    }
  }

  #signOfLife(peer: Peer): void {
    const lease = peer.task.lease;
    if (lease?.holder === peer) lease.lastSignOfLifeMs = this.#options.clock.nowMs();
  }

  /** Whether the task has a lease that is worth waiting for; one that is not is dropped. */
  #isAlive(task: Task, nowMs: number): boolean {
    const lease = task.lease;
    if (lease === undefined) return false;
    if (isConnected(lease) && nowMs < this.#stallDeadlineMs(task, lease)) return true;
    this.#drop(task, lease, nowMs);
    return false;
  }

  /** Takes the lease away from a holder that has not ended it. */
  #drop(task: Task, lease: SourceLease, nowMs: number): void {
    task.lease = undefined;
    if (lease.trigger !== undefined) task.seedFailedAtMs = nowMs;
  }

  #stallDeadlineMs(task: Task, lease: SourceLease): number {
    return stallDeadlineMs(lease, this.#options.sourceLimits.stallTimeoutMs, task.pieceLengthBytes);
  }

  /** When the wait of a peer ends at the latest, as things stand. */
  #deadlineMs(peer: Peer, waiter: Waiter): number {
    const { waitTimeoutMs, unusableHolderWaitMs } = this.#options.sourceLimits;
    const lease = peer.task.lease;
    if (lease === undefined) return waiter.sinceMs + waitTimeoutMs;
    if (isOfUse(lease, peer)) return Math.max(waiter.sinceMs, lease.lastSignOfLifeMs) + waitTimeoutMs;
    return waiter.sinceMs + (this.#mayGoToSource(peer) ? unusableHolderWaitMs : waitTimeoutMs);
  }

  #mayGoToSource(peer: Peer): boolean {
    const policy = sourcePolicyOf(peer.priority);
    const isAllowed = policy === 'seed-first' || policy === 'requester';
    return isAllowed && !peer.isBackToSourceDisabled && this.#hasRoomAtSource(peer);
  }

  #hasRoomAtSource(peer: Peer): boolean {
    const { backToSourcePeers } = peer.task;
    return backToSourcePeers.has(peer) || backToSourcePeers.size < this.#options.sourceLimits.backToSourceCount;
  }

  #arm(task: Task, atMs: number): void {
    const armed = this.#timers.get(task);
    if (armed !== undefined && armed.atMs <= atMs) return;
    armed?.timer.cancel();
    const timer = this.#options.clock.after(Math.max(0, atMs - this.#options.clock.nowMs()), () => {
      this.#timers.delete(task);
      this.#checkDeadlines(task);
    });
    this.#timers.set(task, { timer, atMs });
  }

  #rearm(task: Task): void {
    this.#timers.get(task)?.timer.cancel();
    this.#timers.delete(task);
    if (task.waiters === undefined) return;
    let atMs = task.lease === undefined ? Infinity : this.#stallDeadlineMs(task, task.lease);
    for (const [peer, waiter] of task.waiters) atMs = Math.min(atMs, this.#deadlineMs(peer, waiter));
    this.#arm(task, atMs);
  }

  #checkDeadlines(task: Task): void {
    const nowMs = this.#options.clock.nowMs();
    const hadLease = task.lease !== undefined;
    if (hadLease && !this.#isAlive(task, nowMs)) {
      this.#promote(task, NOBODY);
      return;
    }
    for (const [peer, waiter] of [...(task.waiters ?? [])]) {
      if (task.waiters?.get(peer) !== waiter || nowMs < this.#deadlineMs(peer, waiter)) continue;
      this.#expire(peer, nowMs);
    }
    this.#rearm(task);
  }

  /** A peer has waited as long as it may. */
  #expire(peer: Peer, nowMs: number): void {
    const { task } = peer;
    const parents = this.#attach(peer, nowMs);
    if (parents !== undefined) {
      this.#answer(peer, parents);
      return;
    }
    const lease = task.lease;
    if (lease !== undefined && isOfUse(lease, peer)) {
      this.#drop(task, lease, nowMs);
      this.#promote(task, NOBODY);
      return;
    }
    if (lease !== undefined && this.#mayGoToSource(peer)) {
      this.#answer(peer, this.#grant(peer, 'the peer that fetches the task from the source is of no use to this one'));
      return;
    }
    const lead = lease === undefined ? this.#lead(peer, nowMs, NOBODY) : 'wait';
    if (lead !== 'wait') this.#answer(peer, lead);
    else if (task.lease === lease) {
      this.#answer(peer, {
        kind: 'refused',
        code: 'failed-precondition',
        message: 'no candidate parents found and the source is not allowed',
      });
    }
  }
}

function newLease(
  holder: Peer | undefined,
  trigger: SeedTrigger | undefined,
  unreachableSeeds: ReadonlySet<string>,
  nowMs: number,
): SourceLease {
  return { holder, trigger, unreachableSeeds, lastSignOfLifeMs: nowMs, lastProgressMs: nowMs };
}

/** Whether the peer could fetch from the lease's holder once that has something. */
function isOfUse(lease: SourceLease, peer: Peer): boolean {
  const { holder } = lease;
  if (holder === undefined) return lease.trigger?.hostId !== peer.host.id;
  return holder.host !== peer.host && !peer.hasBlocked(holder.id) && !holder.host.facts.isSharingDisabled;
}
