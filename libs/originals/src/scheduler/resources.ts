import { commonV2, msToDuration } from '@dragonfly/proto';
import {
  nextState,
  PEER_TRANSITIONS,
  type PeerEvent,
  type PeerState,
  TASK_TRANSITIONS,
  type TaskEvent,
  type TaskState,
} from './states.js';

/** Host types; everything else does not exist in v2. */
export const SEED_HOST_TYPE = 1;

export class HostRow {
  updatedAtMs = Date.now();
  /** Registrations that wait now. */
  registering = 0;

  constructor(public host: commonV2.Host) {}

  get isSeed(): boolean {
    return this.host.type === SEED_HOST_TYPE;
  }
}

export class TaskRow {
  state: TaskState = 'Pending';
  readonly peers = new Map<string, PeerRow>();
  readonly backToSource = new Set<PeerRow>();
  /** Only pieces that came from the source. */
  readonly pieces = new Map<number, commonV2.Piece>();
  readonly createdAt = new Date();
  updatedAt = new Date();
  contentLength: bigint;
  pieceCount: number;

  constructor(
    readonly id: string,
    public download: commonV2.Download,
  ) {
    this.contentLength = download.actualContentLength ?? 0n;
    this.pieceCount = Number(download.actualPieceCount ?? 0n);
  }

  apply(event: TaskEvent): void {
    this.state = nextState(TASK_TRANSITIONS, this.state, event);
    this.updatedAt = new Date();
  }

  get sizeScope(): commonV2.SizeScope {
    const length = BigInt.asIntN(64, this.contentLength);
    if (length < 0n || this.pieceCount < 0) return commonV2.SizeScope.UNKNOW;
    if (length === 0n) return commonV2.SizeScope.EMPTY;
    if (length <= 128n) return commonV2.SizeScope.TINY;
    return this.pieceCount === 1 ? commonV2.SizeScope.SMALL : commonV2.SizeScope.NORMAL;
  }

  message(): commonV2.Task {
    const { download } = this;
    return {
      ...commonV2.Task.fromPartial({}),
      id: this.id,
      type: download.type,
      url: download.url,
      digest: download.digest,
      tag: download.tag,
      application: download.application,
      filteredQueryParams: download.filteredQueryParams,
      requestHeader: download.requestHeader,
      contentLength: this.contentLength,
      pieceCount: this.pieceCount,
      sizeScope: this.sizeScope,
      pieces: [...this.pieces.values()],
      state: this.state,
      peerCount: this.peers.size,
      createdAt: this.createdAt,
      updatedAt: this.updatedAt,
    };
  }
}

export class PeerRow {
  state: PeerState = 'Pending';
  needsBackToSource = false;
  readonly blocked = new Set<string>();
  readonly parents = new Set<PeerRow>();
  readonly children = new Set<PeerRow>();
  readonly pieces = new Map<number, commonV2.Piece>();
  /** What its pieces took, in ns. */
  readonly costs: number[] = [];
  readonly createdAt = new Date();
  updatedAt = new Date();
  costMs: number | undefined;

  constructor(
    readonly id: string,
    readonly host: HostRow,
    readonly task: TaskRow,
    readonly download: commonV2.Download,
  ) {}

  apply(event: PeerEvent): void {
    this.state = nextState(PEER_TRANSITIONS, this.state, event);
    this.updatedAt = new Date();
  }

  dropParents(): void {
    for (const parent of this.parents) parent.children.delete(this);
    this.parents.clear();
  }

  /** Whether the other one gets pieces by way of this one. */
  isAncestorOf(other: PeerRow): boolean {
    const seen = new Set<PeerRow>();
    const queue = [...other.parents];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (next === this) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      queue.push(...next.parents);
    }
    return false;
  }

  message(): commonV2.Peer {
    return {
      id: this.id,
      range: this.download.range,
      priority: this.download.priority,
      pieces: [...this.pieces.values()],
      cost: this.costMs === undefined ? undefined : msToDuration(this.costMs),
      state: this.state,
      task: this.task.message(),
      host: this.host.host,
      needBackToSource: this.needsBackToSource,
      createdAt: this.createdAt,
      updatedAt: this.updatedAt,
      concurrentPieceCount: this.download.concurrentPieceCount ?? 8,
    };
  }
}

/** What the scheduler knows; nothing of it is written down. */
export class Resources {
  readonly hosts = new Map<string, HostRow>();
  readonly tasks = new Map<string, TaskRow>();
  readonly peers = new Map<string, PeerRow>();

  removePeer(peer: PeerRow): void {
    peer.dropParents();
    for (const child of peer.children) child.parents.delete(peer);
    peer.task.peers.delete(peer.id);
    peer.task.backToSource.delete(peer);
    this.peers.delete(peer.id);
  }
}
