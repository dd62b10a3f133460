import type { PeerId, TaskId } from '@dragonfly/ids';
import { sizeScope, type SizeScope } from '@dragonfly/ids';
import type { EdgeLoad } from './host.js';
import { DEFAULT_CONCURRENT_PIECE_COUNT, type Peer } from './peer.js';
import { PieceSet } from './piece-set.js';
import type { SourceLease } from './source-lease.js';
import { TASK_TRANSITIONS, type TaskEvent, type TaskState } from './states.js';
import { isLegal, nextState } from './transitions.js';
import type { Waiter } from './waiter.js';

/** What is told about a task when it is registered. */
export interface TaskFacts {
  readonly url: string;
  readonly tag: string;
  readonly application: string;
  readonly digest: string;
  readonly filteredQueryParams: readonly string[];
  readonly requestHeader: Readonly<Record<string, string>>;
}

/** A piece as the peer that fetched it from the source reported it; shown by the stat methods. */
export interface PieceFacts {
  readonly number: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly digest: string;
  readonly costMs: number;
  readonly createdAtMs: number;
}

/** Smallest piece length; assumed for tasks that do not tell theirs. */
export const MIN_PIECE_LENGTH_BYTES = 4 * 1024 * 1024;

/**
 * A content and the peers that fetch it: a directed graph without cycles, edges from parent to child.
 *
 * In-degree is bounded by the number of parents that one answer names, out-degree by the load that scoring sees. Peers
 * that may be offered as a parent stand in a list of their own, so that choosing among ten thousand costs what choosing
 * among ten does.
 */
export class Task {
  facts: TaskFacts;
  readonly createdAtMs: number;
  updatedAtMs: number;

  /** Bytes; `undefined` while nobody knows. */
  contentLengthBytes: number | undefined;
  /** 0 while nobody knows. */
  pieceCount = 0;
  /** 0 while nobody knows. */
  pieceLengthBytes = 0;
  /** Pieces that were fetched from the source, by number. */
  readonly sourcePieces = new Map<number, PieceFacts>();
  /** Numbers in {@link sourcePieces} and the bytes they add up to. */
  readonly sourcePieceNumbers = new PieceSet();
  sourceBytes = 0;

  /** Peers that were told to go to the source and have not ended. */
  readonly backToSourcePeers = new Set<Peer>();
  /** Who fetches the task from the source; owned by the scheduler. */
  lease: SourceLease | undefined;
  /** Peers that wait for a parent, in order of arrival; owned by the scheduler. */
  waiters: Map<Peer, Waiter> | undefined;
  /** When a seed was last unable to get this task; owned by the scheduler. */
  seedFailedAtMs: number | undefined;

  readonly #peers = new Map<PeerId, Peer>();
  readonly #offerable: Peer[] = [];
  #state: TaskState = 'Pending';

  constructor(
    readonly id: TaskId,
    facts: TaskFacts,
    nowMs: number,
  ) {
    this.facts = facts;
    this.createdAtMs = nowMs;
    this.updatedAtMs = nowMs;
  }

  get state(): TaskState {
    return this.#state;
  }

  /** @throws DfError `internal` when the event is illegal in the current state */
  apply(event: TaskEvent, nowMs: number): void {
    this.#state = nextState(TASK_TRANSITIONS, this.#state, event, `task ${this.id}`);
    this.updatedAtMs = nowMs;
  }

  can(event: TaskEvent): boolean {
    return isLegal(TASK_TRANSITIONS, this.#state, event);
  }

  get sizeScope(): SizeScope {
    return sizeScope(this.contentLengthBytes, this.contentLengthBytes === undefined ? undefined : this.pieceCount);
  }

  get peers(): ReadonlyMap<PeerId, Peer> {
    return this.#peers;
  }

  /** Peers that may be offered as a parent to someone, in no order. */
  get offerable(): readonly Peer[] {
    return this.#offerable;
  }

  addPeer(peer: Peer): void {
    this.#peers.set(peer.id, peer);
  }

  /** Takes the peer out of the graph with all its edges. */
  removePeer(peer: Peer): void {
    this.detachFromParents(peer);
    for (const child of peer.children ?? []) this.#removeParent(child, peer);
    peer.children = undefined;
    this.#peers.delete(peer.id);
    this.backToSourcePeers.delete(peer);
    this.#setOfferable(peer, false);
  }

  /** Keeps the piece for the stat methods and sums its length, each number once. */
  addSourcePiece(piece: PieceFacts): void {
    if (!this.sourcePieceNumbers.add(piece.number)) return;
    this.sourcePieces.set(piece.number, piece);
    this.sourceBytes += piece.lengthBytes;
  }

  /** Forgets what the source said, before somebody asks it anew. */
  forgetContent(): void {
    this.contentLengthBytes = undefined;
    this.pieceCount = 0;
    this.sourcePieces.clear();
    for (const peer of this.#peers.values()) this.refreshOfferable(peer);
  }

  /**
   * Draws edges from each parent to the child, in that order.
   *
   * The caller has made sure that the child has no parents yet and that no parent is reachable from it.
   */
  attachToParents(child: Peer, parents: readonly Peer[]): void {
    const load = this.#edgeLoadOf(child);
    child.parents = parents;
    child.edgeLoad = load;
    for (const parent of parents) {
      parent.children ??= new Set();
      parent.children.add(child);
      parent.host.addUpload(load);
    }
    this.refreshOfferable(child);
  }

  detachFromParents(child: Peer): void {
    if (child.parents.length === 0) return;
    for (const parent of child.parents) this.#dropEdge(parent, child);
    child.parents = [];
    this.refreshOfferable(child);
  }

  /** Every peer that has `peer` as an ancestor; a parent among them would close a cycle. */
  descendantsOf(peer: Peer): ReadonlySet<Peer> {
    const found = new Set<Peer>();
    const open = [...(peer.children ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      if (next.children !== undefined) open.push(...next.children);
    }
    return found;
  }

  /**
   * Peers from the offerable list in random order, lazily: each step costs the same, however long the list.
   *
   * @param random uniform in [0, 1)
   */
  *sampleOfferable(random: () => number): IterableIterator<Peer> {
    const list = this.#offerable;
    for (let index = 0; index < list.length; index++) {
      const chosen = index + Math.floor(random() * (list.length - index));
      const peer = list[chosen];
      const displaced = list[index];
      if (peer === undefined || displaced === undefined) return;
      list[chosen] = displaced;
      displaced.offerableSlot = chosen;
      list[index] = peer;
      peer.offerableSlot = index;
      yield peer;
    }
  }

  /**
   * Brings the offerable list up to date after anything about the peer changed.
   *
   * @returns true when the peer has become offerable by this call
   */
  refreshOfferable(peer: Peer): boolean {
    const should = this.#isOfferable(peer);
    const became = should && peer.offerableSlot < 0;
    this.#setOfferable(peer, should);
    return became;
  }

  /**
   * Whether the peer has, or is about to get, something that a child can fetch.
   *
   * - While the content length is unknown nobody can be offered: a child could not tell which pieces there are.
   * - A peer at the source needs its first piece: before, the source may still refuse it.
   * - A peer that fetches from parents needs parents: by them it is connected to pieces.
   */
  #isOfferable(peer: Peer): boolean {
    if (peer.host.facts.isSharingDisabled || this.contentLengthBytes === undefined) return false;
    switch (peer.state) {
      case 'Succeeded':
        return true;
      case 'BackToSource':
        return peer.isAttached && peer.pieces.size > 0;
      case 'Running':
        return peer.isAttached && (peer.parents.length > 0 || (peer.host.facts.isSeed && peer.pieces.size > 0));
      case 'ReceivedNormal':
        return peer.isAttached && peer.parents.length > 0;
      case 'Pending':
      case 'ReceivedEmpty':
      case 'ReceivedTiny':
      case 'ReceivedSmall':
      case 'Failed':
      case 'Leave':
        return false;
    }
  }

  #setOfferable(peer: Peer, should: boolean): void {
    const slot = peer.offerableSlot;
    if (should === slot >= 0) return;
    if (should) {
      peer.offerableSlot = this.#offerable.push(peer) - 1;
      return;
    }
    const last = this.#offerable.pop();
    if (last !== undefined && last !== peer) {
      this.#offerable[slot] = last;
      last.offerableSlot = slot;
    }
    peer.offerableSlot = -1;
  }

  #removeParent(child: Peer, parent: Peer): void {
    this.#dropEdge(parent, child);
    child.parents = child.parents.filter((candidate) => candidate !== parent);
    this.refreshOfferable(child);
  }

  #dropEdge(parent: Peer, child: Peer): void {
    parent.children?.delete(child);
    if (parent.children?.size === 0) parent.children = undefined;
    if (child.edgeLoad !== undefined) parent.host.removeUpload(child.edgeLoad);
  }

  #edgeLoadOf(child: Peer): EdgeLoad {
    const pieceLengthBytes = this.pieceLengthBytes > 0 ? this.pieceLengthBytes : MIN_PIECE_LENGTH_BYTES;
    const pieceCount = child.concurrentPieceCount > 0 ? child.concurrentPieceCount : DEFAULT_CONCURRENT_PIECE_COUNT;
    return {
      peakBits: pieceLengthBytes * pieceCount * 8,
      pieceCount,
      contentBytes: Math.max(0, this.contentLengthBytes ?? 0),
    };
  }
}
