import type { PeerId } from '@dragonfly/ids';
import { CostWindow } from './cost-window.js';
import type { EdgeLoad, Host } from './host.js';
import { PieceSet } from './piece-set.js';
import type { Priority } from './priority.js';
import { type PeerEvent, type PeerState, PEER_TRANSITIONS } from './states.js';
import type { Task } from './task.js';
import { isLegal, nextState } from './transitions.js';

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
  /** Its announce stream is open, so its reports can arrive. */
  isAttached = true;

  /** Edges of the task's graph; owned by {@link Task}. */
  parents: readonly Peer[] = NO_PEERS;
  children: Set<Peer> | undefined;
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
  }

  can(event: PeerEvent): boolean {
    return isLegal(PEER_TRANSITIONS, this.#state, event);
  }

  /** It will not be offered this parent again. */
  blockParent(id: string): void {
    this.#blockedParents ??= new Set();
    if (this.#blockedParents.size < MAX_BLOCKED_PARENTS) this.#blockedParents.add(id);
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
