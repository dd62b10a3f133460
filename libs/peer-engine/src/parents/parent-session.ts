import { DfError } from '@dragonfly/errors';
import { pieceRange } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import type { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { RateLimiter } from '@dragonfly/vortex';
import type { PushTarget } from '../scheduler/push-listener.js';
import { contentVersionOf } from './content-version.js';
import type { ParentHost, ParentHosts } from './parent-hosts.js';
import { drawByWeight } from './parent-weight.js';
import type { OfferedPiece, PieceCollector } from './piece-collector.js';
import type { PieceFetcher } from './piece-fetcher.js';
import { ReadyPieces } from './ready-pieces.js';
import { StarvedPieces } from './starved-pieces.js';

/** How often parents are looked at for a sign of life. */
const LIFE_CHECK_INTERVAL_MS = 500;

/** Parents of one session; further ones are left out. */
const MAX_PARENTS = 64;

/** How fetching from one set of parents ended. */
export type SessionOutcome = 'complete' | 'exhausted';

export interface ParentSessionOptions {
  readonly task: StoredTask;
  readonly candidates: readonly commonV2.Peer[];
  /** Pieces to bring; the length of the content is known. */
  readonly pieces: readonly number[];
  readonly concurrency: number;
  readonly isSequential: boolean;
  readonly collector: PieceCollector;
  readonly fetcher: PieceFetcher;
  readonly hosts: ParentHosts;
  readonly limiters: readonly RateLimiter[];
  /** Peers that served wrong bytes for this task; added to, and never asked again. */
  readonly banned: Set<string>;
  readonly onPiece: (record: PieceRecord) => void;
  /** Parents came that the answer did not name. */
  readonly onMoreParents?: (peers: readonly commonV2.Peer[]) => void;
  /** No parent is left for a piece, or a parent served wrong bytes. */
  readonly onPieceFailed: (pieceNumber: number, parentId: string) => void;
  readonly log: Logger;
  /** Monotonic, for tests. @default performance.now */
  readonly nowMs?: () => number;
}

interface Parent {
  readonly id: string;
  readonly peer: commonV2.Peer & { readonly host: commonV2.Host };
  readonly load: ParentHost;
  readonly stop: AbortController;
  /** Pieces that it has been asked for, and how to take them back. */
  readonly asked: StarvedPieces;
  /** The piece stream still runs: more offers may come. */
  isSyncing: boolean;
  isUsable: boolean;
}

/**
 * Fetches pieces from the parents of one scheduling answer. Every parent tells over its own stream which pieces it has;
 * a piece is fetched as soon as one parent has it, from the parent with the most bandwidth to spare. A piece that fails
 * goes to the next parent that has it.
 */
export class ParentSession implements PushTarget {
  private readonly remaining: Set<number>;
  private readonly ready: ReadyPieces;
  private readonly offers = new Map<number, Map<Parent, OfferedPiece>>();
  private readonly parents: Parent[] = [];
  private readonly settled = Promise.withResolvers<SessionOutcome>();
  private readonly running = new Set<Promise<void>>();
  /** Pieces on their way here, through this session or another download of the process. */
  private readonly pending = new Set<number>();
  private readonly stop = new AbortController();
  private fetching = 0;
  private isSettled = false;

  constructor(private readonly options: ParentSessionOptions) {
    this.remaining = new Set(options.pieces);
    this.ready = new ReadyPieces(options.isSequential);
  }

  /**
   * @returns `complete` when every piece is in the store, `exhausted` when no parent has what is missing
   * @throws DfError when the signal fires, or the store fails
   */
  async run(signal: AbortSignal): Promise<SessionOutcome> {
    const onAbort = (): void => {
      this.settle(DfError.from(signal.reason, 'cancelled'));
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const lifeCheck = setInterval(() => {
      this.checkLife();
    }, LIFE_CHECK_INTERVAL_MS).unref();
    try {
      for (const candidate of this.options.candidates.slice(0, MAX_PARENTS)) this.addParent(candidate);
      this.pump();
      return await this.settled.promise;
    } finally {
      clearInterval(lifeCheck);
      signal.removeEventListener('abort', onAbort);
      this.isSettled = true;
      this.stop.abort();
      await Promise.all(this.running);
      for (const parent of this.parents) parent.load.release();
    }
  }

  /** More parents, for what is still missing. */
  addParents(peers: readonly commonV2.Peer[]): void {
    const known = new Set(this.parents.map(({ id }) => id));
    const byId = new Map(peers.map((peer) => [peer.id, peer]));
    const unknown = [...byId.values()].filter(({ id }) => !known.has(id)).slice(0, MAX_PARENTS - known.size);
    if (this.isSettled || unknown.length === 0) return;
    this.options.log.debug({ parents: unknown.map(({ id }) => id) }, 'more parents');
    this.options.onMoreParents?.(unknown);
    for (const peer of unknown) this.addParent(peer);
    this.pump();
  }

  /** Parents that their scheduler has written off. */
  parentsGone(peerIds: readonly string[]): void {
    if (this.isSettled) return;
    for (const parent of this.parents) {
      if (peerIds.includes(parent.id)) this.dropParent(parent, new DfError('unavailable', 'the parent is gone'));
    }
    this.pump();
  }

  private addParent(peer: commonV2.Peer): void {
    const { host } = peer;
    if (host === undefined || host.ip === '' || this.options.banned.has(peer.id)) return;
    const parent: Parent = {
      id: peer.id,
      peer: { ...peer, host },
      load: this.options.hosts.acquire(host, peer.id),
      stop: new AbortController(),
      asked: new StarvedPieces(this.options.nowMs),
      isSyncing: true,
      isUsable: true,
    };
    this.parents.push(parent);
    this.track(this.sync(parent));
  }

  /** Listens to one parent until it has nothing more to tell. */
  private async sync(parent: Parent): Promise<void> {
    const { task, collector } = this.options;
    const signal = AbortSignal.any([parent.stop.signal, this.stop.signal]);
    try {
      const wanted = [...this.remaining];
      for await (const offer of collector.collect(parent.peer, task.id, wanted, signal, contentVersionOf(task))) {
        this.takeOffer(parent, offer);
      }
    } catch (error) {
      if (!signal.aborted) this.dropParent(parent, DfError.from(error, 'unavailable'));
    } finally {
      parent.isSyncing = false;
      this.pump();
    }
  }

  private takeOffer(parent: Parent, offer: OfferedPiece): void {
    parent.load.heard();
    if (!this.remaining.has(offer.number) || !parent.isUsable) return;
    const { contentLengthBytes, pieceLengthBytes } = this.options.task;
    const expected = pieceRange(offer.number, contentLengthBytes ?? 0, pieceLengthBytes);
    if (expected.offsetBytes !== offer.offsetBytes || expected.lengthBytes !== offer.lengthBytes) {
      this.options.banned.add(parent.id);
      this.dropParent(parent, new DfError('data-loss', `piece ${offer.number} has another size at the parent`));
      return;
    }
    if (offer.port === 0) {
      this.dropParent(parent, new DfError('unavailable', 'the parent names no piece port'));
      return;
    }
    const offers = this.offers.get(offer.number) ?? new Map<Parent, OfferedPiece>();
    offers.set(parent, offer);
    this.offers.set(offer.number, offers);
    if (!this.pending.has(offer.number)) this.ready.add(offer.number);
    this.pump();
  }

  /** Starts what can be started, and notices the end. */
  private pump(): void {
    if (this.isSettled) return;
    while (!this.isSettled && this.fetching < this.options.concurrency) {
      const number = this.ready.choose((candidate) => this.offers.get(candidate)?.size ?? 0);
      if (number === undefined) break;
      this.ready.delete(number);
      this.start(number);
    }
    if (this.remaining.size === 0) {
      this.settle('complete');
    } else if (this.pending.size === 0 && !this.parents.some((parent) => parent.isSyncing)) {
      this.settle('exhausted');
    }
  }

  private start(number: number): void {
    let writer: ReturnType<StoredTask['beginPiece']>;
    try {
      writer = this.options.task.beginPiece(number);
    } catch (error) {
      // Deleted or failed meanwhile: it takes no piece of anybody.
      this.settle(DfError.from(error));
      return;
    }
    if (writer === 'present') {
      this.remaining.delete(number);
      return;
    }
    if (writer === 'in-progress') {
      this.track(this.awaitElsewhere(number));
      return;
    }
    const offers = this.offers.get(number) ?? new Map<Parent, OfferedPiece>();
    const parent = drawByWeight([...offers.keys()], ({ load, asked }) => (asked.isShunned ? 0 : load.weight()));
    const offer = parent === undefined ? undefined : offers.get(parent);
    if (parent === undefined || offer === undefined) {
      writer.abort();
      return;
    }
    this.track(this.fetch(parent, offer, writer));
  }

  private async fetch(
    parent: Parent,
    offer: OfferedPiece,
    writer: Parameters<PieceFetcher['fetch']>[0]['writer'],
  ): Promise<void> {
    const { task, fetcher, limiters } = this.options;
    const moved = new AbortController();
    const signal = AbortSignal.any([parent.stop.signal, this.stop.signal, moved.signal]);
    this.fetching += 1;
    this.pending.add(offer.number);
    parent.load.pieceStarted();
    try {
      const record = await fetcher.fetch({
        kind: task.kind,
        taskId: task.id,
        piece: offer,
        parentId: parent.id,
        writer,
        limiters,
        signal,
        onAsked: () => {
          parent.asked.add(offer.number, moved);
        },
        onBytes: () => {
          parent.asked.heard(offer.number);
        },
      });
      parent.load.heard();
      this.remaining.delete(offer.number);
      this.options.onPiece(record);
    } catch (caught) {
      this.pending.delete(offer.number);
      if (moved.signal.aborted && parent.isUsable && !this.stop.signal.aborted) this.ready.add(offer.number);
      else if (!this.stop.signal.aborted) this.pieceFailed(parent, offer, DfError.from(caught, 'unavailable'));
    } finally {
      parent.asked.delete(offer.number);
      this.fetching -= 1;
      this.pending.delete(offer.number);
      parent.load.pieceEnded();
      this.pump();
    }
  }

  /** Another download of this process fetches the piece; it is not fetched twice. */
  private async awaitElsewhere(number: number): Promise<void> {
    this.pending.add(number);
    try {
      await this.options.task.waitForPiece(number, this.stop.signal);
      this.remaining.delete(number);
    } catch {
      // It was given up there: it is ours again if a parent has it. A deleted task shows at the next write.
      const offers = this.offers.get(number)?.size ?? 0;
      if (!this.stop.signal.aborted && !this.options.task.isDeleted && offers > 0) this.ready.add(number);
    } finally {
      this.pending.delete(number);
      this.pump();
    }
  }

  private pieceFailed(parent: Parent, offer: OfferedPiece, error: DfError): void {
    const { log, onPieceFailed, banned } = this.options;
    log.debug({ piece: offer.number, parent: parent.id, reason: error.message }, 'piece failed');
    switch (error.code) {
      case 'no-space':
      case 'permission-denied':
        // Our own disk: no other parent can help.
        this.settle(error);
        return;
      case 'not-found':
      case 'internal':
      case 'invalid-argument':
        this.offers.get(offer.number)?.delete(parent);
        break;
      case 'data-loss':
        banned.add(parent.id);
        onPieceFailed(offer.number, parent.id);
        this.dropParent(parent, error);
        break;
      default:
        this.dropParent(parent, error);
    }
    if (this.options.task.isDeleted) {
      this.settle(new DfError('cancelled', 'the task was deleted'));
    } else if ((this.offers.get(offer.number)?.size ?? 0) > 0) {
      this.ready.add(offer.number);
    } else if (error.code !== 'data-loss') {
      onPieceFailed(offer.number, parent.id);
    }
  }

  /** Takes a parent out: its stream ends, its pieces in flight fail over, its offers are forgotten. */
  private dropParent(parent: Parent, reason: DfError): void {
    if (!parent.isUsable) return;
    parent.isUsable = false;
    parent.stop.abort(reason);
    this.options.log.debug({ parent: parent.id, reason: reason.message }, 'parent dropped');
    for (const [number, offers] of this.offers) {
      if (offers.delete(parent) && offers.size === 0) this.ready.delete(number);
    }
  }

  private checkLife(): void {
    for (const parent of this.parents) {
      if (parent.isUsable && parent.load.isSilent()) {
        this.dropParent(parent, new DfError('unavailable', 'the parent gives no sign of life'));
      } else if (parent.isUsable) {
        this.moveStarved(parent);
      }
    }
  }

  /** Pieces that a parent does not begin to send go to others that have them; it keeps those that nobody else has. */
  private moveStarved(parent: Parent): void {
    const moved = parent.asked.takeStarved((number) =>
      [...(this.offers.get(number)?.keys() ?? [])].some((other) => other !== parent && !other.asked.isShunned),
    );
    if (moved.length === 0) return;
    this.options.log.debug({ parent: parent.id, pieces: moved.length }, 'a parent sends nothing: others are asked');
  }

  private settle(outcome: SessionOutcome | DfError): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (outcome instanceof DfError) this.settled.reject(outcome);
    else this.settled.resolve(outcome);
  }

  private track(work: Promise<void>): void {
    this.running.add(work);
    void work.finally(() => this.running.delete(work));
  }
}
