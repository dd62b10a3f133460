import { assertNever, DfError, grpcStatusOf } from '@dragonfly/errors';
import type { DeepPartial } from '@dragonfly/proto';
import type { StreamCall } from '@dragonfly/rpc';
import { type Clock, nextState, type Timer } from '@dragonfly/scheduling';
import type { DownloadRecorder } from '../records/download-recorder.js';
import { DurableDownload } from './durable-download.js';
import { hostTypeOf } from '../metrics.js';
import type { HostTypeCounters, KindMetrics } from '../metrics/kind-metrics.js';
import type { DurableAnswer, DurableMessage, DurableReport, PeerIds, PeerView } from './durable-messages.js';
import { type PlacedPeer, selectDurableParents } from './durable-parents.js';
import type { DurablePeer, DurableTask } from './durable-records.js';
import { DURABLE_PEER_TRANSITIONS, type DurablePeerEvent } from './durable-states.js';
import type { DurableTasks } from './durable-tasks.js';
import type { KnownHost } from './host-book.js';

/** Messages of one stream that wait for the store; beyond that HTTP/2 holds the sender back. */
const MAX_QUEUED = 64;
/** Finished pieces are written to the store so late at the most, together. */
const PIECE_WRITE_DELAY_MS = 500;
/** Parents that a peer may refuse; one that has failed with more is beyond help. */
const MAX_BLOCKED_PARENTS = 1_024;

/** How the messages of one kind of announce stream read and are answered. */
export interface DurableWire<Req, Res> {
  readMessage(message: Req): DurableMessage;
  writeAnswer(answer: DurableAnswer): DeepPartial<Res>;
}

export interface DurableSessionOptions {
  readonly tasks: DurableTasks;
  /** Parents that one answer names. */
  readonly parentLimit: () => number;
  readonly clock: Clock;
  readonly records: DownloadRecorder;
}

/** The peer of a session with what belongs to it. */
interface Registered {
  readonly task: DurableTask;
  readonly host: KnownHost;
  peer: DurablePeer;
  readonly blocked: Set<string>;
  readonly record: DurableDownload;
}

type Register = Extract<DurableReport, { kind: 'register' }>;

/**
 * One announce stream of a durable task. Messages are handled one after the other, as each may have to wait for the
 * store; a peer is written by its own stream alone.
 *
 * As for standard tasks, the server answers registrations and reschedules, each once, and closes after the last report.
 * There is no waiting for parents: when nobody has the content, nobody will get it but through the source.
 */
export class DurableSession<Req, Res> {
  readonly #queue: Req[] = [];
  #isHandling = false;
  #isOver = false;
  #hasEnded = false;
  #registered: Registered | undefined;
  #hasUnwrittenPieces = false;
  #pieceTimer: Timer | undefined;

  private constructor(
    private readonly call: StreamCall<Req, Res>,
    private readonly wire: DurableWire<Req, Res>,
    private readonly options: DurableSessionOptions,
    private readonly onOver: () => void,
  ) {}

  /** Serves the call until one side ends it, which `onOver` is told once, never from within this call. */
  static serve<Req, Res>(
    call: StreamCall<Req, Res>,
    wire: DurableWire<Req, Res>,
    options: DurableSessionOptions,
    onOver: () => void,
  ): DurableSession<Req, Res> {
    const session = new DurableSession(call, wire, options, onOver);
    options.tasks.options.metrics.announcePeer.total.inc();
    call.onMessage((message) => session.#receive(message));
    call.onEnd(() => {
      session.#hasEnded = true;
      session.#handleNext();
    });
    call.onCancel(() => session.#close());
    return session;
  }

  /** Ends the stream from our side, for a stop of the server. */
  shutDown(): void {
    if (!this.#isOver) this.#fail(new DfError('unavailable', 'the scheduler is shutting down'));
  }

  #receive(message: Req): void {
    if (this.#isOver) return;
    this.#queue.push(message);
    if (this.#queue.length >= MAX_QUEUED) this.call.pause();
    this.#handleNext();
  }

  #handleNext(): void {
    if (this.#isHandling || this.#isOver) return;
    const message = this.#queue.shift();
    if (message === undefined) {
      if (!this.#hasEnded) return;
      this.#end();
      return;
    }
    if (this.#queue.length === MAX_QUEUED - 1) this.call.resume();
    this.#isHandling = true;
    void this.#handle(this.wire.readMessage(message)).finally(() => {
      this.#isHandling = false;
      this.#handleNext();
    });
  }

  async #handle(message: DurableMessage): Promise<void> {
    const { report } = message;
    try {
      if (report === undefined) throw new DfError('invalid-argument', 'request: value is required');
      await this.#report(message, report);
    } catch (caught) {
      this.#countersOf(report)?.failure.inc(this.#labels);
      const error = DfError.from(caught);
      const own = this.#registered;
      own?.record.ended(own.peer, 'failed', error.message);
      this.#fail(error);
    }
  }

  async #report(message: DurableMessage, report: DurableReport): Promise<void> {
    if (report.kind === 'register') {
      await this.#register(message, report);
      return;
    }
    const own = this.#own(message, report);
    if (own === undefined) return;
    switch (report.kind) {
      case 'started':
        this.#metrics.downloadPeerStarted.total.inc(this.#labels);
        if (own.peer.state !== 'Running') await this.#move(own, 'Download');
        return;
      case 'reschedule':
        for (const id of report.unwantedParents) {
          if (own.blocked.size < MAX_BLOCKED_PARENTS) own.blocked.add(id);
        }
        await this.#write(own, { blockedParents: [...own.blocked] });
        this.#answer(await this.#parentsFor(own));
        return;
      case 'finished':
        this.#metrics.downloadPeerFinished.total.inc(this.#labels);
        await this.#finish(own, 'Succeeded');
        return;
      case 'failed':
        this.options.tasks.options.log.info(
          { taskId: own.task.id, peerId: own.peer.id, hostId: own.host.id, description: report.description },
          'peer has failed',
        );
        await this.#finish(own, 'Failed', report.description);
        return;
      case 'piece-finished':
        this.#pieceFinished(own, report);
        return;
      case 'piece-failed':
        this.#metrics.downloadPieceFinished.failure.inc(this.#labels);
        own.record.pieceFailed(report.parentId);
        if (report.isTemporary && own.blocked.size < MAX_BLOCKED_PARENTS) own.blocked.add(report.parentId);
        return;
      case 'source-piece-failed':
        own.record.pieceFailed('');
        this.#metrics.downloadPieceFinished.failure.inc(this.#labels);
        return;
      default:
        assertNever(report);
    }
  }

  async #register(ids: PeerIds, register: Register): Promise<void> {
    const { tasks } = this.options;
    const { store, kind } = tasks.options;
    if (this.#registered !== undefined) {
      throw new DfError('internal', `a peer has registered on this stream already: ${this.#registered.peer.id}`);
    }
    const host = await tasks.host(ids.hostId);
    const task = await tasks.task(ids.taskId);
    const known = await store.peer(ids.peerId);
    if (known !== undefined && (known.taskId !== task.id || known.hostId !== host.id)) {
      throw new DfError('already-exists', `peer ${ids.peerId} already exists with another task or host`);
    }
    const answer = await this.#firstAnswer(task, register);
    const event: DurablePeerEvent = answer?.kind === 'empty' ? 'RegisterEmpty' : 'RegisterNormal';
    if (known !== undefined) nextState(DURABLE_PEER_TRANSITIONS, known.state, event, `peer ${known.id}`);
    const peer = tasks.newPeer(ids, register, event);
    if (!(await store.createPeer(peer, task))) {
      throw new DfError('internal', `event ${event} inappropriate in current state of peer ${peer.id}`);
    }
    const record = new DurableDownload(this.options.records, kind, task, host);
    const own: Registered = { task, host, peer, blocked: new Set(), record };
    this.#registered = own;
    if (this.#isOver) {
      this.#abandon(own);
      return;
    }
    this.#metrics.registerPeer.total.inc(this.#labels);
    this.#answer(answer ?? (await this.#parentsFor(own)));
  }

  /** What is answered without looking for parents. */
  async #firstAnswer(task: DurableTask, register: Register): Promise<DurableAnswer | undefined> {
    const { kind, store } = this.options.tasks.options;
    if (kind.hasSource) {
      if (register.needsBackToSource) return toSource("peer's NeedBackToSource is true");
      if (task.state === 'Pending' || task.state === 'Failed') return toSource(`the task is ${task.state}`);
      if (task.state === 'Succeeded' && (await store.replicas(task.id)).all === 0) {
        return toSource('no peer has the task');
      }
    }
    return task.contentLengthBytes === 0n ? { kind: 'empty' } : undefined;
  }

  /** @throws DfError `failed-precondition` when there are none */
  async #parentsFor(own: Registered): Promise<DurableAnswer> {
    const { tasks, parentLimit } = this.options;
    const { store, hosts } = tasks.options;
    const peers = await store.peersOfTask(own.task.id);
    const known = await hosts.findAll(peers.map(({ hostId }) => hostId));
    const placed = peers.flatMap((peer): PlacedPeer[] => {
      const host = known.get(peer.hostId);
      return host === undefined ? [] : [{ peer, host }];
    });
    const chosen = selectDurableParents(own, placed, own.blocked, parentLimit());
    if (chosen.length === 0) throw new DfError('failed-precondition', 'no candidate parents found');
    const task = await tasks.view(own.task);
    const parents = chosen.flatMap(({ peer }): PeerView[] => {
      const host = known.get(peer.hostId);
      return host === undefined ? [] : [{ peer, host, task }];
    });
    own.record.offered(parents);
    return { kind: 'parents', parents };
  }

  #pieceFinished(own: Registered, { piece, isFromSource }: Extract<DurableReport, { kind: 'piece-finished' }>): void {
    this.#metrics.downloadPieceFinished.total.inc(this.#labels);
    if (piece === undefined || piece.number >= own.task.pieceCount) return;
    own.peer.pieces.add(piece.number);
    own.record.pieceFinished(piece, isFromSource);
    this.#hasUnwrittenPieces = true;
    this.#pieceTimer ??= this.options.clock.after(PIECE_WRITE_DELAY_MS, () => {
      this.#pieceTimer = undefined;
      this.#writePieces(own);
    });
  }

  /** Pieces are hints for others: that they cannot be written is no reason to fail a download. */
  #writePieces(own: Registered): void {
    if (this.#isOver || !this.#hasUnwrittenPieces) return;
    this.options.tasks.inBackground('write finished pieces', this.#write(own, {}));
  }

  async #finish(own: Registered, event: 'Succeeded' | 'Failed', description?: string): Promise<void> {
    const { nowMs, store } = this.options.tasks.options;
    const atMs = nowMs();
    const state = nextState(DURABLE_PEER_TRANSITIONS, own.peer.state, event, `peer ${own.peer.id}`);
    own.peer = {
      ...own.peer,
      state,
      costMs: event === 'Succeeded' ? Math.max(0, atMs - own.peer.createdAtMs) : 0,
      updatedAtMs: atMs,
    };
    if (event === 'Failed') {
      await store.retirePeer(own.peer);
    } else {
      for (let number = 0; number < own.task.pieceCount; number++) own.peer.pieces.add(number);
      await store.updatePeer(own.peer);
    }
    own.record.ended(own.peer, event === 'Failed' ? 'failed' : 'succeeded', description);
    this.#end();
  }

  async #move(own: Registered, event: DurablePeerEvent): Promise<void> {
    await this.#write(own, {
      state: nextState(DURABLE_PEER_TRANSITIONS, own.peer.state, event, `peer ${own.peer.id}`),
    });
  }

  async #write(own: Registered, changes: Partial<DurablePeer>): Promise<void> {
    const { nowMs, store } = this.options.tasks.options;
    own.peer = { ...own.peer, ...changes, updatedAtMs: nowMs() };
    this.#hasUnwrittenPieces = false;
    await store.updatePeer(own.peer);
  }

  /**
   * The peer of this stream, when the message is about it. Piece reports about others are dropped.
   * @throws DfError `not-found`, `invalid-argument`
   */
  #own(ids: PeerIds, report: DurableReport): Registered | undefined {
    const own = this.#registered;
    const isOwn = own?.peer.id === ids.peerId && own.task.id === ids.taskId && own.host.id === ids.hostId;
    if (isOwn) return own;
    if (report.kind === 'piece-finished' || report.kind === 'piece-failed' || report.kind === 'source-piece-failed') {
      return undefined;
    }
    if (own === undefined) throw new DfError('not-found', `peer ${ids.peerId} not found`);
    throw new DfError(
      'invalid-argument',
      `ids of a message must be those of the registration on its stream: host ${own.host.id}, task ${own.task.id}, peer ${own.peer.id}`,
    );
  }

  #answer(answer: DurableAnswer): void {
    if (!this.#isOver) this.call.send(this.wire.writeAnswer(answer));
  }

  #fail(error: DfError): void {
    if (this.#isOver) return;
    this.#metrics.announcePeer.failure.inc();
    this.#close();
    this.call.fail(grpcStatusOf(error.code), error.message);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#close();
    this.call.end();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue.length = 0;
    this.#pieceTimer?.cancel();
    this.onOver();
    if (this.#registered !== undefined) this.#abandon(this.#registered);
  }

  /** A peer whose stream has ended without its last report gives nothing to anybody. */
  #abandon(own: Registered): void {
    own.record.ended(own.peer, 'abandoned');
    if (own.peer.state === 'Succeeded' || own.peer.state === 'Failed') return;
    const { tasks } = this.options;
    const { store, nowMs } = tasks.options;
    own.peer = { ...own.peer, state: 'Failed', updatedAtMs: nowMs() };
    tasks.inBackground('take an abandoned peer out of the store', store.retirePeer(own.peer));
  }

  /** What counts a report that may fail. */
  #countersOf(report: DurableReport | undefined): HostTypeCounters | undefined {
    switch (report?.kind) {
      case 'register':
        return this.#metrics.registerPeer;
      case 'started':
        return this.#metrics.downloadPeerStarted;
      case 'finished':
        return this.#metrics.downloadPeerFinished;
      default:
        return undefined;
    }
  }

  get #metrics(): KindMetrics {
    return this.options.tasks.options.metrics;
  }

  get #labels(): { readonly host_type: 'normal' | 'super' } {
    return { host_type: hostTypeOf(this.#registered?.host.isSeed ?? false) };
  }
}

function toSource(description: string): DurableAnswer {
  return { kind: 'back-to-source', description };
}
