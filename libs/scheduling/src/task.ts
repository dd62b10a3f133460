import type { PeerId, TaskId } from '@dragonfly/ids';
import { sizeScope, type SizeScope } from '@dragonfly/ids';
import { CostWindow } from './cost-window.js';
import type { EdgeLoad, Host } from './host.js';
import { OfferableList } from './offerable-list.js';
import { PieceSet } from './piece-set.js';
import type { Priority } from './priority.js';
import { SourcePieces } from './source-pieces.js';
import {
  PEER_TRANSITIONS,
  type PeerEvent,
  type PeerState,
  TASK_TRANSITIONS,
  type TaskEvent,
  type TaskState,
} from './states.js';
import { isLegal, nextState } from './transitions.js';

// Peer and Task stand in one file because each is made of the other: a task is a graph of peers, a peer lives in a task.

/** Pieces a child fetches at once when it does not say. */
export const DEFAULT_CONCURRENT_PIECE_COUNT = 8;

/** What a registration says about a peer. */
export interface PeerInit {
  readonly id: PeerId;
  readonly task: Task;
  readonly host: Host;
  /** @default 0 */
  readonly priority?: Priority;
  /** Part of the content it wants; absent = all. Bytes. */
  readonly range?: { readonly start: number; readonly length: number } | undefined;
  /** @default 8 */
  readonly concurrentPieceCount?: number;
  /** It asks to go to the source (a triggered seed). @default false */
  readonly needsBackToSource?: boolean;
  /** It must not go to the source. @default false */
  readonly isBackToSourceDisabled?: boolean;
}

/** One download of one task by one host. */
export class Peer {
  readonly id: PeerId;
  readonly task: Task;
  readonly host: Host;
  readonly priority: Priority;
  readonly range: { readonly start: number; readonly length: number } | undefined;
  readonly concurrentPieceCount: number;
  readonly isBackToSourceDisabled: boolean;
  needsBackToSource: boolean;

  readonly pieces = new PieceSet();
  readonly costs = new CostWindow();
  readonly createdAtMs: number;
  updatedAtMs: number;
  /** Time of the last finished piece; creation when there was none. */
  pieceUpdatedAtMs: number;
  /** Time from creation to success; 0 before. */
  costMs = 0;
  /** Name of the strategy that its task has; empty before it was scheduled. The label of records and metrics. */
  strategyLabel = '';
  /** Its announce stream is open, so its reports can arrive. */
  isAttached = true;

  /** Edges of the task's graph; owned by {@link Task}. */
  parents: readonly Peer[] = NO_PEERS;
  children: Set<Peer> | undefined;
  /** Higher than that of every ancestor, by whatever; never sinks. */
  level = 0;
  /** Load that each of its edges put on a parent's host; owned by {@link Task}. */
  edgeLoad: EdgeLoad | undefined;
  /** Place in the task's list of peers that can be offered, -1 when it is not in it; owned by {@link Task}. */
  offerableSlot = -1;

  #state: PeerState = 'Pending';
  #blockedParents: Set<string> | undefined;

  constructor(init: PeerInit, nowMs: number) {
    this.id = init.id;
    this.task = init.task;
    this.host = init.host;
    this.priority = init.priority ?? 0;
    this.range = init.range;
    this.concurrentPieceCount = init.concurrentPieceCount ?? DEFAULT_CONCURRENT_PIECE_COUNT;
    this.needsBackToSource = init.needsBackToSource ?? false;
    this.isBackToSourceDisabled = init.isBackToSourceDisabled ?? false;
    this.createdAtMs = nowMs;
    this.updatedAtMs = nowMs;
    this.pieceUpdatedAtMs = nowMs;
  }

  get state(): PeerState {
    return this.#state;
  }

  /** @throws DfError `internal` when the event is illegal in the current state */
  apply(event: PeerEvent, nowMs: number): void {
    this.#state = nextState(PEER_TRANSITIONS, this.#state, event, `peer ${this.id}`);
    this.updatedAtMs = nowMs;
    // A scheduler remembers far more finished peers than downloading ones.
    if (this.isDone) this.costs.settle();
  }

  can(event: PeerEvent): boolean {
    return isLegal(PEER_TRANSITIONS, this.#state, event);
  }

  /** It will not be offered this parent again. */
  blockParent(id: string): void {
    this.#blockedParents ??= new Set();
    if (this.#blockedParents.size < MAX_BLOCKED_PARENTS) this.#blockedParents.add(id);
  }

  /** Ids of peers that it got nothing from, or that were of no use; bounded by `MAX_BLOCKED_PARENTS`. */
  get blockedParents(): Iterable<string> {
    return this.#blockedParents ?? [];
  }

  hasBlocked(id: string): boolean {
    return this.#blockedParents?.has(id) ?? false;
  }

  /** Its last report has been made, or it never will be. */
  get isDone(): boolean {
    return this.#state === 'Succeeded' || this.#state === 'Failed' || this.#state === 'Leave';
  }
}

/** A peer that has failed with more parents than this is beyond help; the bound keeps a broken one from filling memory. */
const MAX_BLOCKED_PARENTS = 1024;

const NO_PEERS: readonly Peer[] = Object.freeze([]);

/** Kinds of tasks that live in this scheduler's memory; each has ids of its own. */
export type VolatileTaskKind = 'standard' | 'cache';

/** Gives the peer a level, and its descendants levels above it. The graph has no cycle, so this ends. */
function raise(peer: Peer, level: number): void {
  if (peer.level >= level) return;
  peer.level = level;
  const open = [peer];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const child of next.children ?? []) {
      if (child.level > next.level) continue;
      child.level = next.level + 1;
      open.push(child);
    }
  }
}

/** What is told about a task when it is registered. */
export interface TaskFacts {
  readonly url: string;
  readonly tag: string;
  readonly application: string;
  readonly digest: string;
  readonly filteredQueryParams: readonly string[];
  readonly requestHeader: Readonly<Record<string, string>>;
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
  readonly sourcePieces = new SourcePieces();

  /** Peers that were told to go to the source and have not ended. */
  readonly backToSourcePeers = new Set<Peer>();

  readonly #peers = new Map<PeerId, Peer>();
  readonly #offerable = new OfferableList<Peer>();
  #state: TaskState = 'Pending';

  constructor(
    readonly id: TaskId,
    facts: TaskFacts,
    nowMs: number,
    readonly kind: VolatileTaskKind = 'standard',
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
    return this.#offerable.members;
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
    this.#offerable.set(peer, false);
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
    raise(child, Math.max(child.level, ...parents.map(({ level }) => level + 1)));
    for (const parent of parents) {
      parent.children ??= new Set();
      parent.children.add(child);
      parent.host.addUpload(load);
    }
    this.refreshOfferable(child);
  }

  /** Draws further edges; the same conditions, and none of the parents is one already. */
  addParents(child: Peer, parents: readonly Peer[]): void {
    const load = (child.edgeLoad ??= this.#edgeLoadOf(child));
    child.parents = [...child.parents, ...parents];
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

  /**
   * Every peer that has `peer` as an ancestor; a parent among them would close a cycle. All of them have a higher level.
   * @param maxCount how many may be looked at
   * @returns `undefined` when there are more
   */
  descendantsOf(peer: Peer, maxCount = Infinity): ReadonlySet<Peer> | undefined {
    const found = new Set<Peer>();
    const open = [...(peer.children ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      if (found.size >= maxCount) return undefined;
      found.add(next);
      if (next.children !== undefined) open.push(...next.children);
    }
    return found;
  }

  /** The offerable peer that comes at this place of a random order; see {@link OfferableList.draw}. */
  drawOfferable(index: number, random: () => number): Peer | undefined {
    return this.#offerable.draw(index, random);
  }

  /** Lets another offerable peer take this place of the random order; see {@link OfferableList.renew}. */
  renewOfferable(index: number, random: () => number): Peer | undefined {
    return this.#offerable.renew(index, random);
  }

  /**
   * Brings the offerable list up to date after anything about the peer changed.
   *
   * @returns true when the peer has become offerable by this call
   */
  refreshOfferable(peer: Peer): boolean {
    const should = this.#isOfferable(peer);
    const became = should && peer.offerableSlot < 0;
    this.#offerable.set(peer, should);
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
