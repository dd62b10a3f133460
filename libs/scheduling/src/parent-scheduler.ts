import { type CandidateLimits, canServe, selectParents } from './candidates.js';
import type { Clock } from './clock.js';
import { type LeaseAuthority, soleAuthority } from './lease-authority.js';
import { grant, isOwnElsewhere, isTriggered, type Lead, LeaseDesk, SOURCE_WANTED } from './lease-desk.js';
import { sourcePolicyOf } from './priority.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { SeedLead } from './seed-lead.js';
import { isConnected, isOfUse, type SourceLease } from './source-lease.js';
import type { Strategy } from './strategy.js';
import type { Peer, Task } from './task.js';
import { dropLease, endLease, leadersFirst, type TaskTurn } from './task-turn.js';
import { hasRoomAtSource, mayGoToSource, mayJoinAtSource, type SourceLimits, waitDeadlineMs } from './wait-rules.js';
import type { ScheduleAnswer, Waiter } from './waiter.js';
import { WaitingLines } from './waiting-lines.js';

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

const NOBODY: ReadonlySet<string> = new Set();

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
  readonly #desk: LeaseDesk;
  readonly #lines: WaitingLines;

  constructor(options: ParentSchedulerOptions) {
    this.#options = options;
    const { clock, seeds, sourceLimits, authority = soleAuthority } = options;
    this.#lines = new WaitingLines({
      clock,
      sourceLimits,
      onDeadline: (task, turn) => {
        this.#checkDeadlines(task, turn);
      },
    });
    const seedLead = new SeedLead(seeds, clock, (task, turn, result) => {
      this.#triggerEnded(task, turn, result);
    });
    this.#desk = new LeaseDesk(
      { clock, authority, seedLead, sourceLimits },
      {
        attach: (peer, nowMs) => this.#attach(peer, nowMs),
        answer: (peer, answer) => {
          this.#lines.answer(peer, answer);
        },
        rearm: (task, turn) => {
          this.#lines.rearm(task, turn);
        },
      },
    );
  }

  /** Peers that wait for an answer now. */
  get waitingCount(): number {
    return this.#lines.count;
  }

  /** Who fetches the task from the source, or has last done so. */
  leaseOf(task: Task): SourceLease | undefined {
    return this.#lines.knownTurnOf(task)?.lease;
  }

  /** Forgets all timers; nobody that waits is answered any more. */
  close(): void {
    this.#desk.close();
    this.#lines.close();
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
    const turn = this.#lines.turnOf(task);
    const nowMs = this.#nowMs();
    // Also of a peer that goes to the source: an A/B test compares all downloads of a task.
    peer.strategyLabel = this.#options.strategyFor(task).name;
    this.#lines.leave(peer);
    task.detachFromParents(peer);
    // Bound for the source, or on the host that another scheduler thinks is there: it carries on what it has begun.
    const isLeaseAlive = this.#desk.isLeaseAlive(task, turn, nowMs) && !isOwnElsewhere(turn.lease, peer);
    let lead: Lead | undefined;
    if (peer.needsBackToSource) {
      if (turn.lease?.holder === peer) lead = grant(peer, SOURCE_WANTED);
      else if (!isLeaseAlive && hasRoomAtSource(peer, undefined, this.#options.sourceLimits)) {
        lead = this.#desk.claim(turn, peer, nowMs, NOBODY);
      }
    }
    lead ??= this.#attach(peer, nowMs);
    // What its host was asked to fetch it does not wait for, though the first to ask there may not have been a scheduler.
    if (isLeaseAlive && isTriggered(turn.lease, peer)) {
      lead ??= grant(peer, 'the seed peer was asked to fetch the task');
    }
    lead ??= isLeaseAlive ? 'wait' : this.#lead(turn, peer, nowMs, NOBODY);
    if (lead === 'wait') this.#lines.enter(turn, peer, { sinceMs: nowMs, answer });
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
    if (peer.state !== 'Running' || this.#lines.isClosed || this.#lines.knownTurnOf(task)?.waiters.has(peer) === true) {
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
    const turn = this.#lines.turnOf(task);
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
    const turn = this.#lines.turnOf(task);
    const nowMs = this.#nowMs();
    task.detachFromParents(peer);
    task.backToSourcePeers.add(peer);
    if (!this.#desk.isLeaseAlive(task, turn, nowMs)) this.#desk.adopt(turn, peer, nowMs);
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
    const turn = this.#lines.turnOf(task);
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
    const turn = this.#lines.turnOf(task);
    task.backToSourcePeers.delete(peer);
    this.#lines.leave(peer);
    task.detachFromParents(peer);
    task.refreshOfferable(peer);
    if (peer.host.facts.isSeed) turn.seedFailedAtMs = this.#nowMs();
    this.#gone(peer);
    this.#release(turn, peer);
  }

  /** The peer was marked Leave; it will be deleted. */
  left(peer: Peer): void {
    const waiter = this.#lines.leave(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.task.detachFromParents(peer);
    peer.task.refreshOfferable(peer);
    this.#gone(peer);
    this.#release(this.#lines.turnOf(peer.task), peer);
    waiter?.answer({ kind: 'refused', code: 'not-found', message: `peer ${peer.id} not found` });
  }

  /** The peer's stream has ended; nothing will be heard from it unless it had succeeded. */
  detached(peer: Peer): void {
    peer.isAttached = false;
    this.#lines.leave(peer);
    peer.task.refreshOfferable(peer);
    if (peer.isDone) return;
    peer.task.backToSourcePeers.delete(peer);
    const turn = this.#lines.turnOf(peer.task);
    const isHolder = turn.lease?.holder === peer && turn.lease !== undefined && !isConnected(turn.lease);
    if (isHolder || this.#desk.hasJoined(peer)) this.#release(turn, peer);
  }

  /** The content length has become known, or the lengths have changed. */
  contentChanged(task: Task): void {
    for (const peer of task.peers.values()) task.refreshOfferable(peer);
    this.#wake(task, this.#lines.turnOf(task));
  }

  /**
   * To be called before a peer is deleted.
   *
   * @returns how to answer a peer that was waiting; the caller tells it
   */
  removing(peer: Peer): Waiter | undefined {
    const waiter = this.#lines.leave(peer);
    peer.task.backToSourcePeers.delete(peer);
    peer.isAttached = false;
    this.#gone(peer);
    this.#release(this.#lines.turnOf(peer.task), peer);
    return waiter;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
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
        if (!this.#desk.mayGoNow(peer)) return 'wait';
        break;
    }
    return this.#desk.claim(turn, peer, nowMs, unreachableSeeds);
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
    this.#desk.leave(peer);
    if (turn.lease?.holder === peer) endLease(turn);
    if (turn.lease === undefined) this.#promote(peer.task, turn, NOBODY);
  }

  /** Without a lease: gives the waiting peers what there is, and the lease to the first that may have it. */
  #promote(task: Task, turn: TaskTurn, unreachableSeeds: ReadonlySet<string>): void {
    if (turn.waiters.size === 0 || this.#lines.isClosed) return;
    const nowMs = this.#nowMs();
    this.#desk.adoptReader(task, turn, nowMs);
    for (const peer of leadersFirst([...turn.waiters.keys()])) {
      if (turn.lease !== undefined) break;
      if (!turn.waiters.has(peer)) continue;
      const lead = this.#attach(peer, nowMs) ?? this.#lead(turn, peer, nowMs, unreachableSeeds);
      if (lead !== 'wait') this.#lines.answer(peer, lead);
    }
    this.#lines.rearm(task, turn);
  }

  #gone(peer: Peer): void {
    if (peer.children !== undefined) this.#options.onParentGone?.(peer, [...peer.children]);
  }

  #refresh(peer: Peer): void {
    if (peer.task.refreshOfferable(peer)) this.#wake(peer.task, this.#lines.turnOf(peer.task));
  }

  /** Looks for parents for everybody who waits. */
  #wake(task: Task, turn: TaskTurn): void {
    this.#options.onParentFound?.(task);
    this.#lines.visitAll(turn, (peer, nowMs) => {
      const parents = this.#attach(peer, nowMs);
      if (parents !== undefined) this.#lines.answer(peer, parents);
    });
  }

  #checkDeadlines(task: Task, turn: TaskTurn): void {
    const nowMs = this.#nowMs();
    if (turn.lease !== undefined && !this.#desk.isLeaseAlive(task, turn, nowMs)) {
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
    this.#lines.rearm(task, turn);
  }

  /** A peer has waited as long as it may. */
  #expire(turn: TaskTurn, peer: Peer, nowMs: number): void {
    const parents = this.#attach(peer, nowMs);
    if (parents !== undefined) {
      this.#lines.answer(peer, parents);
      return;
    }
    const { lease } = turn;
    if (lease !== undefined && !isOfUse(lease, peer) && mayJoinAtSource(peer, lease, this.#options.sourceLimits)) {
      this.#desk.join(turn, peer);
      return;
    }
    if (lease !== undefined && (isOfUse(lease, peer) || mayGoToSource(peer))) {
      dropLease(peer.task, turn, lease, nowMs);
      this.#promote(peer.task, turn, NOBODY);
      return;
    }
    const lead = lease === undefined ? this.#lead(turn, peer, nowMs, NOBODY) : 'wait';
    if (lead !== 'wait') this.#lines.answer(peer, lead);
    else if (turn.lease === lease) {
      this.#lines.answer(peer, {
        kind: 'refused',
        code: 'failed-precondition',
        message: 'no candidate parents found and the source is not allowed',
      });
    }
  }
}
