import { asHostId, asPeerId, asTaskId, type PeerId } from '@dragonfly/ids';
import type { Clock, Host, ParentScheduler, Peer, Resources, Task, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { HolderBoard } from './holder-board.js';
import { type Holder, type HolderRecord, MAX_HOLDERS } from './holder-record.js';

/** A host must say within this time that it has a task; whoever waits for parents waits for it. */
const CHECK_TIMEOUT_MS = 1500;
/** Guests are asked again after this time, as long as somebody fetches from them, and forgotten otherwise. */
const CONFIRM_INTERVAL_MS = 2 * 60_000;
/** How often it is looked which guests that are. */
const SWEEP_INTERVAL_MS = 30_000;
/** Hosts that are asked again at once. */
const MAX_CONCURRENT_CHECKS = 16;
/** Guests in all; beyond that nobody is taken in. */
const MAX_GUESTS = 20_000;

/** How much of a task a host has. */
export type Holding = 'complete' | 'part' | 'none';

/** Asks a host. Never rejects. */
export type HoldingCheck = (host: Host, taskId: string, signal: AbortSignal) => Promise<Holding>;

export interface GuestPeersOptions {
  readonly board: Pick<HolderBoard, 'ask'>;
  readonly resources: Resources;
  readonly scheduler: () => ParentScheduler;
  readonly check: HoldingCheck;
  /** Takes a peer out of everything. */
  readonly remove: (peer: Peer) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Peers that another scheduler of the cluster serves, offered here as parents because nobody here has their task. Hosts
 * announce themselves to every scheduler, so a host that is named can be judged and offered like any other; before that
 * it is asked whether it has the task.
 */
export class GuestPeers {
  /** When each is to be confirmed. */
  readonly #guests = new Map<Peer, number>();
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #takenInCount = 0;

  constructor(private readonly options: GuestPeersOptions) {
    this.#sweepLater();
  }

  /** Guests taken in since the start. */
  get takenInCount(): number {
    return this.#takenInCount;
  }

  has(peer: Peer): boolean {
    return this.#guests.has(peer);
  }

  /**
   * Finds hosts that have the task through other schedulers, and offers them to those who wait. Never rejects.
   * @returns hosts that are said to have it and have not announced themselves here
   */
  async lookFor(taskId: string): Promise<readonly Holder[]> {
    const { resources, board } = this.options;
    const task = resources.tasks.get(asTaskId(taskId));
    if (task === undefined) return [];
    const unknown: Holder[] = [];
    const records = await board.ask(task);
    const wanted = new Map<Host, { readonly holder: Holder; readonly record: HolderRecord }>();
    for (const record of records) {
      if (!isSameContent(task, record)) continue;
      for (const holder of record.holders) {
        const host = resources.hosts.get(asHostId(holder.hostId));
        if (host === undefined) {
          unknown.push(holder);
          continue;
        }
        if (host.facts.isSharingDisabled || wanted.has(host)) continue;
        if (resources.peers.has(asPeerId(holder.peerId)) || this.#servesItself(host, task)) continue;
        if (wanted.size < MAX_HOLDERS) wanted.set(host, { holder, record });
      }
    }
    await Promise.all(
      Array.from(wanted, async ([host, { holder, record }]) => {
        const held = await this.#ask(host, taskId);
        if (held !== 'none') this.#takeIn(task, host, holder, record, held === 'complete');
      }),
    );
    return unknown;
  }

  /**
   * A peer registers here itself: the guest of that id, and those on its host for the same task, give way to it.
   * @returns those who fetch from them: children of the peer from now on, or it could be given them as parents
   */
  makeWay(id: PeerId, task: Task, host: Host): readonly Peer[] {
    const guests = [...this.options.resources.peersOf(host)].filter(
      (peer) => (peer.task === task || peer.id === id) && this.#guests.has(peer),
    );
    const children = new Set(guests.flatMap((guest) => [...(guest.children ?? [])]));
    for (const guest of guests) this.#forget(guest);
    return [...children].filter((child) => child.task === task);
  }

  close(): void {
    this.#abort.abort();
    this.#timer?.cancel();
  }

  #forget(guest: Peer): void {
    if (this.#guests.delete(guest)) this.options.remove(guest);
  }

  /** A peer of the host has come by itself: as a guest besides, it could be given its own children as parents. */
  #servesItself(host: Host, task: Task): boolean {
    for (const peer of this.options.resources.peersOf(host)) {
      if (peer.task !== task || this.#guests.has(peer)) continue;
      if (peer.state === 'Succeeded' || (peer.isAttached && !peer.isDone)) return true;
    }
    return false;
  }

  #ask(host: Host, taskId: string): Promise<Holding> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)]);
    return this.options.check(host, taskId, signal);
  }

  #takeIn(task: Task, host: Host, holder: Holder, record: HolderRecord, isComplete: boolean): void {
    const { resources, clock, log } = this.options;
    const id = asPeerId(holder.peerId);
    // Meanwhile everything may have gone, and the peer may have come by itself.
    const isStillWanted =
      resources.tasks.get(task.id) === task &&
      resources.hosts.get(host.id) === host &&
      !resources.peers.has(id) &&
      !this.#servesItself(host, task);
    if (!isStillWanted || this.#guests.size >= MAX_GUESTS || this.#abort.signal.aborted) return;
    const scheduler = this.options.scheduler();
    const nowMs = clock.nowMs();
    if (task.contentLengthBytes === undefined) {
      task.contentLengthBytes = record.contentLengthBytes;
      task.pieceCount = record.pieceCount;
      task.pieceLengthBytes = record.pieceLengthBytes;
      scheduler.contentChanged(task);
    }
    const peer = resources.createPeer({ id, task, host }, nowMs);
    this.#guests.set(peer, nowMs + CONFIRM_INTERVAL_MS);
    this.#takenInCount += 1;
    log.debug({ taskId: task.id, peerId: id, hostId: host.id, isComplete }, 'parent that another scheduler serves');
    peer.apply('RegisterNormal', nowMs);
    if (isComplete) {
      peer.apply('Download', nowMs);
      peer.apply('DownloadSucceeded', nowMs);
      scheduler.succeeded(peer);
    } else {
      // Like one at the source that has something: it is not to be given parents by this scheduler.
      peer.apply('DownloadBackToSource', nowMs);
      peer.pieces.add(0);
      scheduler.heardFrom(peer);
    }
  }

  #sweepLater(): void {
    this.#timer = this.options.clock.after(SWEEP_INTERVAL_MS, () => {
      void this.#sweep().finally(() => {
        if (!this.#abort.signal.aborted) this.#sweepLater();
      });
    });
  }

  async #sweep(): Promise<void> {
    const { resources, clock } = this.options;
    const nowMs = clock.nowMs();
    const doubtful: Peer[] = [];
    for (const [peer, atMs] of this.#guests) {
      if (resources.peers.get(peer.id) !== peer) this.#guests.delete(peer);
      else if (atMs <= nowMs) {
        if (peer.children === undefined) this.#forget(peer);
        else doubtful.push(peer);
      }
    }
    const queue = doubtful.values();
    await Promise.all(
      Array.from({ length: MAX_CONCURRENT_CHECKS }, async () => {
        for (const peer of queue) await this.#confirm(peer);
      }),
    );
  }

  async #confirm(peer: Peer): Promise<void> {
    const held = await this.#ask(peer.host, peer.task.id);
    if (!this.#guests.has(peer) || this.#abort.signal.aborted) return;
    if (held === 'none') this.#forget(peer);
    else {
      const nowMs = this.options.clock.nowMs();
      peer.updatedAtMs = nowMs;
      peer.pieceUpdatedAtMs = nowMs;
      this.#guests.set(peer, nowMs + CONFIRM_INTERVAL_MS);
    }
  }
}

/** Two schedulers that were told different lengths do not speak of the same content. */
function isSameContent(task: Task, record: HolderRecord): boolean {
  if (task.contentLengthBytes === undefined) return true;
  return task.contentLengthBytes === record.contentLengthBytes && task.pieceLengthBytes === record.pieceLengthBytes;
}
