import type { Clock, ParentScheduler, Peer, Task, Timer } from '@dragonfly/scheduling';
import { type AnnouncedHosts, parentRecords } from '../wire/wire-records.js';
import type { Subscribers } from './subscribers.js';

/** Parents that become known within this time are pushed together. */
const GATHER_MS = 100;
/** Peers of one task that are looked at in one go; the others have their turn after the next pause. */
const MAX_LOOKED_AT = 64;

export interface ParentPusherOptions {
  readonly scheduler: () => ParentScheduler;
  readonly subscribers: Subscribers;
  readonly hosts: AnnouncedHosts;
  readonly clock: Clock;
}

interface Needs {
  /** Peers with fewer parents than they could have, longest without news first. */
  readonly peers: Set<Peer>;
  timer: Timer | undefined;
}

/**
 * Tells peers of ours that are downloading of parents that became known after they were answered, and of parents that
 * have gone. Peers of others get what they ask for and nothing else.
 */
export class ParentPusher {
  readonly #needs = new WeakMap<Task, Needs>();
  readonly #timers = new Set<Timer>();
  #isClosed = false;

  constructor(private readonly options: ParentPusherOptions) {}

  /** The peer was given parents, or lost one; it may have room for more. */
  answered(peer: Peer): void {
    if (this.#isClosed || !this.options.subscribers.has(peer.host.id)) return;
    const needs = this.#needs.get(peer.task) ?? { peers: new Set(), timer: undefined };
    this.#needs.set(peer.task, needs);
    needs.peers.add(peer);
  }

  /** One more peer of the task can serve. */
  parentsFound(task: Task): void {
    const needs = this.#needs.get(task);
    if (needs !== undefined) this.#lookLater(task, needs);
  }

  /** The parent serves nobody any more. */
  parentGone(parent: Peer, children: readonly Peer[]): void {
    for (const child of children) {
      this.options.subscribers.tell(child.host.id, {
        taskId: child.task.id,
        peerId: child.id,
        push: { $case: 'parentsGone', value: { peerIds: [parent.id] } },
      });
      this.answered(child);
    }
    this.parentsFound(parent.task);
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #lookLater(task: Task, needs: Needs): void {
    if (needs.timer !== undefined || this.#isClosed) return;
    const timer = this.options.clock.after(GATHER_MS, () => {
      needs.timer = undefined;
      this.#timers.delete(timer);
      this.#look(task, needs);
    });
    needs.timer = timer;
    this.#timers.add(timer);
  }

  #look(task: Task, needs: Needs): void {
    const { scheduler, subscribers, hosts } = this.options;
    let looks = MAX_LOOKED_AT;
    for (const peer of [...needs.peers]) {
      if (looks-- <= 0) {
        this.#lookLater(task, needs);
        break;
      }
      // To the end, or out.
      needs.peers.delete(peer);
      if (!peer.isAttached || peer.isDone || !subscribers.has(peer.host.id)) continue;
      const { parents, hasRoom } = scheduler().extend(peer);
      if (hasRoom) needs.peers.add(peer);
      if (parents.length === 0) continue;
      subscribers.tell(peer.host.id, {
        taskId: task.id,
        peerId: peer.id,
        push: { $case: 'parents', value: { candidateParents: parentRecords(parents, hosts) } },
      });
    }
    if (needs.peers.size === 0 && needs.timer === undefined) this.#needs.delete(task);
  }
}
