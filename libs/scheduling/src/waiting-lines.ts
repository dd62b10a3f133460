import { Alarm } from './alarm.js';
import type { Clock } from './clock.js';
import type { Peer, Task } from './task.js';
import type { TaskTurn } from './task-turn.js';
import { leaseDeadlineMs, type SourceLimits, waitDeadlineMs } from './wait-rules.js';
import type { ScheduleAnswer, Waiter } from './waiter.js';

/** Waiting peers that are visited in one turn of the event loop. */
const VISITS_PER_TURN = 32;

export interface WaitingLinesOptions {
  readonly clock: Clock;
  readonly sourceLimits: SourceLimits;
  /** The first deadline of those who wait for a task, or of its lease, has come. */
  readonly onDeadline: (task: Task, turn: TaskTurn) => void;
}

/** Those who wait for an answer: a line for each task, in order of arrival, with one alarm for the first deadline in it. */
export class WaitingLines {
  readonly #turns = new WeakMap<Task, TaskTurn>();
  /** Turns with somebody waiting; only these have their alarm set. */
  readonly #busy = new Set<TaskTurn>();
  #count = 0;
  #isClosed = false;

  constructor(private readonly options: WaitingLinesOptions) {}

  /** Peers that wait now, for whatever task. */
  get count(): number {
    return this.#count;
  }

  /** Nobody is answered any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    for (const turn of this.#busy) turn.alarm.off();
  }

  /** Undefined as long as nothing has gone on with the task. */
  knownTurnOf(task: Task): TaskTurn | undefined {
    return this.#turns.get(task);
  }

  turnOf(task: Task): TaskTurn {
    let turn = this.#turns.get(task);
    if (turn === undefined) {
      const alarm = new Alarm(this.options.clock, () => {
        this.options.onDeadline(task, made);
      });
      const made: TaskTurn = {
        lease: undefined,
        waiters: new Map(),
        seedFailedAtMs: undefined,
        alarm,
        isWaking: false,
        mustWakeAgain: false,
      };
      this.#turns.set(task, made);
      turn = made;
    }
    return turn;
  }

  enter(turn: TaskTurn, peer: Peer, waiter: Waiter): void {
    const { sourceLimits } = this.options;
    turn.waiters.set(peer, waiter);
    this.#busy.add(turn);
    this.#count += 1;
    if (this.#isClosed) return;
    turn.alarm.notLaterThan(waitDeadlineMs(peer, waiter, turn.lease, sourceLimits));
    if (turn.lease !== undefined) {
      turn.alarm.notLaterThan(leaseDeadlineMs(turn.lease, peer.task.pieceLengthBytes, sourceLimits));
    }
  }

  /** @returns undefined when the peer did not wait */
  leave(peer: Peer): Waiter | undefined {
    const turn = this.#turns.get(peer.task);
    const waiter = turn?.waiters.get(peer);
    if (turn === undefined || waiter === undefined) return undefined;
    turn.waiters.delete(peer);
    this.#count -= 1;
    if (turn.waiters.size === 0) {
      turn.alarm.off();
      this.#busy.delete(turn);
    }
    return waiter;
  }

  answer(peer: Peer, answer: ScheduleAnswer): void {
    this.leave(peer)?.answer(answer);
  }

  /** To be called after anything that may have moved deadlines to an earlier time. */
  rearm(task: Task, turn: TaskTurn): void {
    turn.alarm.off();
    if (turn.waiters.size === 0 || this.#isClosed) return;
    const { sourceLimits } = this.options;
    const { lease } = turn;
    if (lease !== undefined) turn.alarm.notLaterThan(leaseDeadlineMs(lease, task.pieceLengthBytes, sourceLimits));
    let atMs = Infinity;
    for (const [peer, waiter] of turn.waiters) {
      atMs = Math.min(atMs, waitDeadlineMs(peer, waiter, lease, sourceLimits));
    }
    turn.alarm.notLaterThan(atMs);
  }

  /**
   * Visits everybody who waits now, some in this turn of the event loop and the rest in the next ones. While a round is
   * under way another one does not begin, but follows it, once.
   */
  visitAll(turn: TaskTurn, visit: (peer: Peer, nowMs: number) => void): void {
    if (turn.waiters.size === 0 || this.#isClosed) return;
    if (turn.isWaking) {
      turn.mustWakeAgain = true;
      return;
    }
    turn.isWaking = true;
    turn.mustWakeAgain = false;
    this.#visitSome(turn, [...turn.waiters.keys()], 0, visit);
  }

  #visitSome(turn: TaskTurn, peers: readonly Peer[], from: number, visit: (peer: Peer, nowMs: number) => void): void {
    const nowMs = this.options.clock.nowMs();
    const end = Math.min(peers.length, from + VISITS_PER_TURN);
    for (const peer of peers.slice(from, end)) if (turn.waiters.has(peer)) visit(peer, nowMs);
    if (end === peers.length) {
      turn.isWaking = false;
      if (turn.mustWakeAgain) this.options.clock.after(0, () => this.visitAll(turn, visit));
      return;
    }
    this.options.clock.after(0, () => {
      this.#visitSome(turn, peers, end, visit);
    });
  }
}
