import { commonV2, type DeepPartial, type schedulerV2 } from '@dragonfly/proto';
import { Transfer } from '../network/link.js';
import { AnnounceStream } from './announce-stream.js';
import { Parent } from './parent.js';
import { drawParent, rarestOf } from './piece-choice.js';
import type { Downloader, SimulatedHost, Store } from './simulated-host.js';
import type { Content, World } from './world.js';

type Request = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;
type Response = DeepPartial<schedulerV2.AnnouncePeerResponse>;

/** Answers of the scheduler after which a daemon gives up on it; the default of `scheduler.maxScheduleCount`. */
const MAX_SCHEDULE_COUNT = 5;
/** How often a daemon looks whether a parent lets pieces wait. */
const LIFE_CHECK_INTERVAL_MS = 500;

export type DownloadOutcome = 'succeeded' | 'cut-off';

interface PieceOnTheWay {
  readonly parent: Parent | undefined;
  readonly transfer: Transfer;
}

/**
 * One download of one host, as the daemon does it: announce, fetch from the parents of the answer, the rarest pieces
 * first, from the parent with the most bandwidth to spare; take pieces back from one that sends nothing; tell of every piece; ask again when no parent is left; go to
 * the source when told to, or when the scheduler cannot help.
 */
export class Download implements Downloader {
  /** Of all conversations about this download. */
  fromSourceBytes = 0;
  fromPeersBytes = 0;
  #peerId = '';
  #stream: AnnounceStream | undefined;
  #phase: 'asking' | 'parents' | 'source' | 'ended' = 'asking';
  #answers = 0;
  #parents: Parent[] = [];
  #given: readonly DeepPartial<commonV2.Peer>[] = [];
  /** Pieces that are neither here nor on the way, in no order. */
  #wanted: number[] = [];
  readonly #onTheWay = new Map<number, PieceOnTheWay>();
  readonly #banned = new Set<string>();
  #isPumpPlanned = false;
  #isLifeCheckPlanned = false;
  #sessionStartMs = 0;
  readonly #patienceMs: number;
  readonly store: Store;

  constructor(
    private readonly world: World,
    readonly host: SimulatedHost,
    readonly content: Content,
    private readonly asksForSource: boolean,
    private readonly onEnd: (outcome: DownloadOutcome) => void,
    private readonly onPiece: () => void = () => undefined,
  ) {
    this.store = host.storeOf(content.number, content.pieceCount);
    const { takeBackAfterSeconds } = world.scenario;
    this.#patienceMs = takeBackAfterSeconds === 0 ? Infinity : takeBackAfterSeconds * 1000;
  }

  get peerId(): string {
    return this.#peerId;
  }

  start(): void {
    const { world, host, content } = this;
    for (let piece = 0; piece < content.pieceCount; piece++) if (this.store.has[piece] !== 1) this.#wanted.push(piece);
    host.downloads.add(this);
    this.#peerId = world.nextPeerId(host);
    const stream = new AnnounceStream({
      onAnswer: (response) => {
        world.counts.answers += 1;
        world.queue.after(world.scenario.latencyMs.scheduler / 2, () => {
          if (this.#stream === stream && this.#phase !== 'ended') this.#answered(response);
        });
      },
      onEnd: (error) => {
        if (error === undefined) return;
        world.queue.after(world.scenario.latencyMs.scheduler / 2, () => {
          if (this.#stream === stream && this.#phase !== 'ended') this.#withoutScheduler();
        });
      },
    });
    this.#stream = stream;
    world.inScheduler(() => world.core.announcePeer(stream.call));
    world.queue.after(world.scenario.latencyMs.scheduler / 2, () => {
      if (this.#phase === 'ended') return;
      this.#report({ $case: 'registerPeerRequest', value: { download: this.#registration() } });
    });
  }

  /** The host has crashed: nobody is told anything but by broken connections. */
  crash(): void {
    if (this.#phase === 'ended') return;
    for (const { transfer } of this.#onTheWay.values()) transfer.cancel();
    this.#onTheWay.clear();
    const stream = this.#stream;
    this.#end('cut-off');
    if (stream !== undefined) {
      this.world.inScheduler(() => {
        stream.cancel();
      });
    }
  }

  /** A host that this download fetches from is gone. */
  parentCrashed(host: SimulatedHost): void {
    for (const parent of this.#parents.filter((candidate) => candidate.host === host)) {
      const lost = [...this.#onTheWay].filter(([, piece]) => piece.parent === parent).map(([piece]) => piece);
      this.#drop(parent);
      for (const piece of lost) {
        if (!this.#parents.some(({ store }) => store.has[piece] === 1)) this.#pieceFailed(piece, parent.peerId);
      }
    }
    this.#planPump(0);
  }

  /** A parent has one piece more. */
  parentHasMore(latencyMs: number): void {
    if (this.#onTheWay.size < this.world.scenario.concurrentPieces) this.#planPump(latencyMs);
  }

  #registration(): commonV2.Download {
    const { content, asksForSource, world } = this;
    return commonV2.Download.fromPartial({
      url: content.url,
      type: commonV2.TaskType.STANDARD,
      priority: commonV2.Priority.LEVEL0,
      concurrentPieceCount: world.scenario.concurrentPieces,
      needBackToSource: asksForSource,
      actualContentLength: BigInt(content.sizeBytes),
      actualPieceLength: BigInt(content.pieceBytes),
      actualPieceCount: BigInt(content.pieceCount),
    });
  }

  #report(request: Request): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const message = { hostId: this.host.id, taskId: this.content.taskId, peerId: this.#peerId, request };
    this.world.inScheduler(() => {
      stream.send(message);
    });
  }

  #answered({ response }: Response): void {
    this.#answers += 1;
    if (this.#answers > MAX_SCHEDULE_COUNT) {
      this.#report({ $case: 'downloadPeerFailedRequest', value: { description: 'max schedule count exceeded' } });
      this.#withoutScheduler();
      return;
    }
    switch (response?.$case) {
      case 'normalTaskResponse':
        this.#report({ $case: 'downloadPeerStartedRequest', value: {} });
        this.#fetchFrom(response.value?.candidateParents ?? []);
        return;
      case 'needBackToSourceResponse':
        this.#phase = 'source';
        this.#report({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
        this.#pump();
        return;
      default:
        throw new Error(`unexpected answer ${response?.$case}`);
    }
  }

  /** The rest comes from the source, and nobody is told. */
  #withoutScheduler(): void {
    this.#stream = undefined;
    this.#phase = 'source';
    for (const parent of [...this.#parents]) this.#drop(parent);
    this.#pump();
  }

  #fetchFrom(given: readonly DeepPartial<commonV2.Peer>[]): void {
    const { world, host, content } = this;
    this.#phase = 'parents';
    this.#sessionStartMs = world.queue.nowMs;
    this.#given = given;
    for (const peer of given) {
      const found = world.hostsById.get(peer.host?.id ?? '');
      if (found === undefined || peer.id === undefined || this.#banned.has(peer.id)) continue;
      const store = found.storeOf(content.number, content.pieceCount);
      const parent = new Parent(peer.id, found, store, this.#patienceMs);
      this.#parents.push(parent);
      found.children.add(this);
      parent.store.listeners.add(this);
      if (found.isUp) continue;
      world.queue.after(world.topology.roundTripMs(host.place, found.place), () => {
        if (!this.#parents.includes(parent) || found.isUp) return;
        this.#drop(parent);
        this.#pump();
      });
    }
    this.#planPump(1);
  }

  #planPump(delayMs: number): void {
    if (this.#isPumpPlanned) return;
    this.#isPumpPlanned = true;
    this.world.queue.after(delayMs, () => {
      this.#isPumpPlanned = false;
      this.#pump();
    });
  }

  /** Starts what can be started, and notices the end. */
  #pump(): void {
    if (this.#phase !== 'parents' && this.#phase !== 'source') return;
    const { concurrentPieces } = this.world.scenario;
    while (this.#onTheWay.size < concurrentPieces && this.#wanted.length > 0) {
      const index = this.#phase === 'source' ? 0 : rarestOf(this.#wanted, this.#parents, this.world.random);
      if (index < 0) break;
      const piece = this.#takeWanted(index);
      const having = this.#parents.filter(({ store }) => store.has[piece] === 1);
      this.#fetch(piece, drawParent(having, this.world.queue.nowMs, this.world.random));
    }
    if (this.#onTheWay.size > 0) return;
    if (this.#wanted.length === 0) this.#complete();
    else if (this.#phase === 'parents' && this.#parents.length === 0) this.#askAgain();
  }

  #takeWanted(index: number): number {
    const wanted = this.#wanted;
    const piece = wanted[index] ?? 0;
    const last = wanted.pop() ?? 0;
    if (index < wanted.length) wanted[index] = last;
    return piece;
  }

  #bytesOf(piece: number): number {
    const { sizeBytes, pieceBytes, pieceCount } = this.content;
    return piece === pieceCount - 1 ? sizeBytes - pieceBytes * piece : pieceBytes;
  }

  #fetch(piece: number, parent: Parent | undefined): void {
    const { topology, queue } = this.world;
    const from = parent?.host.place ?? topology.origin;
    const askedAtMs = queue.nowMs;
    const transfer = Transfer.start(
      queue,
      topology.path(from, this.host.place),
      this.#bytesOf(piece),
      topology.roundTripMs(from, this.host.place),
      () => {
        this.#onTheWay.delete(piece);
        parent?.arrived(piece, queue.nowMs);
        this.#arrived(piece, parent, queue.nowMs - askedAtMs);
      },
    );
    this.#onTheWay.set(piece, { parent, transfer });
    parent?.ask(piece, transfer, queue.nowMs);
    this.#planLifeCheck();
  }

  /** The next look at which a parent can have been silent for too long, if none is planned. */
  #planLifeCheck(): void {
    if (this.#isLifeCheckPlanned) return;
    const { queue } = this.world;
    const dueMs = this.#parents.reduce((first, { starvedAtMs }) => Math.min(first, starvedAtMs), Infinity);
    if (dueMs === Infinity) return;
    this.#isLifeCheckPlanned = true;
    const looks = Math.floor((Math.max(dueMs, queue.nowMs) - this.#sessionStartMs) / LIFE_CHECK_INTERVAL_MS);
    queue.after(this.#sessionStartMs + (looks + 1) * LIFE_CHECK_INTERVAL_MS - queue.nowMs, () => {
      this.#isLifeCheckPlanned = false;
      if (this.#phase === 'parents') this.#checkLife();
    });
  }

  /** Pieces that a parent does not begin to send go to others that have them; it keeps those that nobody else has. */
  #checkLife(): void {
    const { nowMs } = this.world.queue;
    for (const parent of this.#parents) {
      const taken = parent.takeStarved(nowMs, (piece) =>
        this.#parents.some((other) => other !== parent && other.store.has[piece] === 1 && !other.isShunned(nowMs)),
      );
      for (const piece of taken) this.#giveUp(piece);
    }
    this.#pump();
    this.#planLifeCheck();
  }

  #arrived(piece: number, parent: Parent | undefined, costMs: number): void {
    const { world, host } = this;
    const bytes = this.#bytesOf(piece);
    const { traffic } = world;
    if ((parent?.host.place ?? world.topology.origin).idc !== host.place.idc) traffic.betweenIdcs += bytes;
    if (parent === undefined) {
      traffic.fromSource += bytes;
      this.fromSourceBytes += bytes;
    } else {
      parent.host.uploadedBytes += bytes;
      if (parent.host.kind.damagedPieces > 0 && world.random() < parent.host.kind.damagedPieces) {
        this.#damaged(piece, parent, bytes);
        return;
      }
      if (parent.host.isSeed) traffic.fromSeeds += bytes;
      else traffic.fromPeers += bytes;
      this.fromPeersBytes += bytes;
    }
    this.store.add(piece);
    this.#report(this.#pieceReport(piece, parent, bytes, costMs));
    this.onPiece();
    for (const listener of this.store.listeners) {
      listener.parentHasMore(world.topology.roundTripMs(host.place, listener.host.place) / 2);
    }
    this.#pump();
  }

  /** Wrong bytes: the parent is never asked for this content again. */
  #damaged(piece: number, parent: Parent, bytes: number): void {
    this.world.traffic.wasted += bytes;
    this.#wanted.push(piece);
    this.#banned.add(parent.peerId);
    this.#pieceFailed(piece, parent.peerId);
    this.#drop(parent);
    this.#pump();
  }

  #pieceReport(piece: number, parent: Parent | undefined, bytes: number, costMs: number): Request {
    const value = {
      piece: {
        number: piece,
        parentId: parent?.peerId,
        offset: BigInt(piece * this.content.pieceBytes),
        length: BigInt(bytes),
        digest: 'crc32:0',
        content: undefined,
        trafficType: parent === undefined ? commonV2.TrafficType.BACK_TO_SOURCE : commonV2.TrafficType.REMOTE_PEER,
        cost: { seconds: BigInt(Math.floor(costMs / 1000)), nanos: Math.floor((costMs % 1000) * 1e6) },
        createdAt: undefined,
      },
    };
    return parent === undefined
      ? { $case: 'downloadPieceBackToSourceFinishedRequest', value }
      : { $case: 'downloadPieceFinishedRequest', value };
  }

  #pieceFailed(pieceNumber: number, parentId: string): void {
    this.#report({ $case: 'downloadPieceFailedRequest', value: { pieceNumber, parentId, temporary: true } });
  }

  #drop(parent: Parent): void {
    this.#parents = this.#parents.filter((candidate) => candidate !== parent);
    if (!this.#parents.some(({ host }) => host === parent.host)) {
      parent.host.children.delete(this);
      parent.store.listeners.delete(this);
    }
    for (const [piece, onTheWay] of [...this.#onTheWay]) {
      if (onTheWay.parent === parent) this.#giveUp(piece);
    }
  }

  /** A piece on the way is wanted again. */
  #giveUp(piece: number): void {
    const onTheWay = this.#onTheWay.get(piece);
    if (onTheWay === undefined) return;
    onTheWay.transfer.cancel();
    this.#onTheWay.delete(piece);
    this.#wanted.push(piece);
    if (onTheWay.transfer.isSent) this.world.traffic.wasted += this.#bytesOf(piece);
  }

  #askAgain(): void {
    this.#phase = 'asking';
    const candidateParents = this.#given.map((peer) => commonV2.Peer.fromPartial({ id: peer.id ?? '' }));
    this.#report({
      $case: 'reschedulePeerRequest',
      value: { candidateParents, description: 'not all pieces are downloaded from parent' },
    });
  }

  #complete(): void {
    this.#report(
      this.#phase === 'source'
        ? { $case: 'downloadPeerBackToSourceFinishedRequest', value: {} }
        : { $case: 'downloadPeerFinishedRequest', value: {} },
    );
    this.#end('succeeded');
  }

  #end(outcome: DownloadOutcome): void {
    this.#phase = 'ended';
    this.#stream = undefined;
    for (const parent of [...this.#parents]) this.#drop(parent);
    this.host.downloads.delete(this);
    this.onEnd(outcome);
  }
}
