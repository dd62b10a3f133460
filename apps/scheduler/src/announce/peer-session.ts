import { assertNever, DfError, grpcStatusOf } from '@dragonfly/errors';
import { asHostId, asPeerId } from '@dragonfly/ids';
import type { commonV2, schedulerV2 } from '@dragonfly/proto';
import type { StreamCall } from '@dragonfly/rpc';
import {
  asPriority,
  effectivePriority,
  type Peer,
  type ScheduleAnswer,
  type VolatileTaskKind,
} from '@dragonfly/scheduling';
import type { SchedulerState } from '../scheduler-state.js';
import { checkIdLengths } from '../wire/id-length.js';
import { parentRecords } from '../wire/wire-records.js';
import { taskOf } from './content-facts.js';
import { countFailure, labelsOf } from './peer-labels.js';
import * as outcome from './peer-outcomes.js';
import { pieceBackToSourceFailed, pieceFailed, pieceFinished } from './piece-reports.js';

export type AnnounceCall = StreamCall<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>;
type Message = schedulerV2.AnnouncePeerRequest;
type Response = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;
type Report = NonNullable<Message['request']>;
type PieceReport = Extract<Report, { $case: `downloadPiece${string}` }>;

/** Messages of one stream that wait for a turn; then HTTP/2 holds the sender back. */
const MAX_WAITING_MESSAGES = 2;

/**
 * One AnnouncePeer stream: turns its messages into events of a peer, and the scheduler's answers into responses.
 *
 * The server speaks only when asked: one response for a registration and one for each reschedule. After a peer's last
 * report it closes the stream; real clients wait for that.
 */
export class PeerSession {
  /** The peer that registered on this stream. */
  #peer: Peer | undefined;
  #isOver = false;
  #isWaiting = false;
  #isBlocked = false;
  /** Messages that have come and were not handled yet. */
  #waitingMessages = 0;
  #isPaused = false;
  /** Its host was looked for at the other schedulers. */
  #hasRecalled = false;

  private constructor(
    private readonly call: AnnounceCall,
    private readonly state: SchedulerState,
    private readonly kind: VolatileTaskKind,
    private readonly onOver: () => void,
  ) {}

  /** Serves the call until one side ends it, which `onOver` is told once, never from within this call. */
  static serve(
    call: AnnounceCall,
    state: SchedulerState,
    kind: VolatileTaskKind,
    onOver: () => void = () => undefined,
  ): PeerSession {
    const session = new PeerSession(call, state, kind, onOver);
    state.metrics.announcePeer.total.inc();
    call.onMessage((message) => {
      session.#take(message);
    });
    call.onEnd(() => {
      state.turns.run(() => {
        if (!session.#isOver) session.#end();
      });
    });
    call.onCancel(() => {
      session.#close();
    });
    return session;
  }

  /** Ends the stream from our side, for a stop of the server. */
  shutDown(): void {
    if (this.#isOver) return;
    this.#fail(new DfError('unavailable', 'the scheduler is shutting down'));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Handles a message now or in one of the next turns; while several wait the stream is not read on. */
  #take(message: Message): void {
    this.#waitingMessages += 1;
    const hasRun = this.state.turns.run(() => {
      this.#waitingMessages -= 1;
      this.#receive(message);
      if (this.#isPaused && this.#waitingMessages === 0) {
        this.#isPaused = false;
        this.call.resume();
      }
    });
    if (hasRun || this.#isPaused || this.#waitingMessages < MAX_WAITING_MESSAGES) return;
    this.#isPaused = true;
    this.call.pause();
  }

  #receive(message: Message): void {
    if (this.#isOver) return;
    try {
      this.#handle(message);
    } catch (caught) {
      this.#giveUp(message, DfError.from(caught));
    }
  }

  #handle(message: Message): void {
    const { state } = this;
    const { request } = message;
    if (request === undefined) throw new DfError('invalid-argument', 'AnnouncePeerRequest.request: value is required');
    switch (request.$case) {
      case 'registerPeerRequest':
        this.#register(message, request.value.download);
        return;
      case 'downloadPeerStartedRequest':
        outcome.started(state, this.#ownPeer(message));
        return;
      case 'downloadPeerBackToSourceStartedRequest':
        outcome.backToSourceStarted(state, this.#ownPeer(message));
        return;
      case 'reschedulePeerRequest':
        this.#reschedule(this.#ownPeer(message), request.value);
        return;
      case 'downloadPeerFinishedRequest':
        outcome.finished(state, this.#ownPeer(message));
        this.#end();
        return;
      case 'downloadPeerBackToSourceFinishedRequest':
        outcome.backToSourceFinished(state, this.#ownPeer(message));
        this.#end();
        return;
      case 'downloadPeerFailedRequest':
        outcome.failed(state, this.#ownPeer(message), request.value.description);
        this.#end(request.value.description);
        return;
      case 'downloadPeerBackToSourceFailedRequest':
        outcome.backToSourceFailed(state, this.#ownPeer(message), request.value.description);
        this.#end(request.value.description);
        return;
      case 'downloadPieceFinishedRequest':
      case 'downloadPieceBackToSourceFinishedRequest':
      case 'downloadPieceFailedRequest':
      case 'downloadPieceBackToSourceFailedRequest':
        this.#pieceReport(message, request);
        return;
      default:
        assertNever(request);
    }
  }

  #register(message: Message, download: commonV2.Download | undefined): void {
    if (download === undefined) throw new DfError('invalid-argument', 'RegisterPeerRequest.download: is required');
    const { state } = this;
    checkIdLengths({ task_id: message.taskId, peer_id: message.peerId });
    const nowMs = state.clock.nowMs();
    const host = state.resources.hosts.get(asHostId(message.hostId));
    if (host === undefined && state.recallHost !== undefined && !this.#hasRecalled) {
      this.#recallHost(message, state.recallHost);
      return;
    }
    if (host === undefined) throw new DfError('not-found', `host ${message.hostId} not found`);
    const requested = asPriority(download.priority);
    if (requested === undefined) {
      throw new DfError('invalid-argument', `download.priority: ${download.priority} is no priority`);
    }
    const known = state.resources.peers.get(asPeerId(message.peerId));
    // A second registration of the same id is a mistake of the caller; the running download is not to suffer from it.
    if (known !== undefined && (known.host !== host || state.guests?.has(known) !== true)) {
      throw new DfError(
        'internal',
        `event RegisterNormal inappropriate in current state ${known.state} of peer ${known.id}`,
      );
    }
    if (this.#peer !== undefined) {
      throw new DfError('internal', `a peer has registered on this stream already: ${this.#peer.id}`);
    }
    const task = taskOf(state, message.taskId, download, this.kind);
    const children = state.guests?.makeWay(asPeerId(message.peerId), task, host) ?? [];
    const peer = state.resources.createPeer(
      {
        id: asPeerId(message.peerId),
        task,
        host,
        priority: effectivePriority(requested, task.facts, state.applications()),
        range:
          download.range === undefined
            ? undefined
            : { start: Number(download.range.start), length: Number(download.range.length) },
        ...(download.concurrentPieceCount === undefined ? {} : { concurrentPieceCount: download.concurrentPieceCount }),
        needsBackToSource: download.needBackToSource,
        isBackToSourceDisabled: download.disableBackToSource,
      },
      nowMs,
    );
    for (const child of children) task.addParents(child, [peer]);
    this.#peer = peer;
    state.metrics.registerPeer.total.inc(labelsOf(peer));
    if (!download.metadataOnly) state.records.started(peer);
    if (task.state !== 'Running') task.apply('Download', nowMs);
    if (download.metadataOnly) {
      peer.apply('RegisterNormal', nowMs);
      state.scheduler.registered(peer);
      this.#send({ $case: 'metadataOnlyResponse', value: {} });
    } else if (task.sizeScope === 'empty') {
      peer.apply('RegisterEmpty', nowMs);
      state.scheduler.registered(peer);
      this.#send({ $case: 'emptyTaskResponse', value: {} });
    } else {
      peer.apply('RegisterNormal', nowMs);
      state.downloads.set(peer.id, download);
      state.scheduler.registered(peer);
      this.#schedule(peer);
    }
  }

  /** The registration goes on when the host has been looked for. */
  #recallHost(message: Message, recall: (hostId: string) => Promise<void>): void {
    this.#hasRecalled = true;
    void recall(message.hostId).then(() => {
      this.state.turns.run(() => {
        this.#receive(message);
      });
    });
  }

  #reschedule(peer: Peer, request: schedulerV2.ReschedulePeerRequest): void {
    if (this.#isWaiting || this.#isBlocked) {
      throw new DfError('failed-precondition', `peer ${peer.id} asked for parents before it took the last answer`);
    }
    for (const parent of request.candidateParents) peer.blockParent(parent.id);
    this.#schedule(peer);
  }

  /** Reports about pieces never end a stream: one that cannot be used is dropped. */
  #pieceReport(message: Message, request: PieceReport): void {
    const peer = this.#peer;
    if (peer === undefined || !this.#isAbout(peer, message)) {
      this.state.log.debug({ peerId: message.peerId }, 'piece report of a peer that did not register on its stream');
      return;
    }
    switch (request.$case) {
      case 'downloadPieceFinishedRequest':
        pieceFinished(this.state, peer, request.value.piece, false);
        return;
      case 'downloadPieceBackToSourceFinishedRequest':
        pieceFinished(this.state, peer, request.value.piece, true);
        return;
      case 'downloadPieceFailedRequest':
        pieceFailed(this.state, peer, request.value);
        return;
      case 'downloadPieceBackToSourceFailedRequest':
        pieceBackToSourceFailed(this.state, peer);
        return;
      default:
        assertNever(request);
    }
  }

  /**
   * The peer that registered on this stream: nobody reports for somebody else.
   * @throws DfError `not-found` when nobody has, or the peer has been deleted; `invalid-argument` for other ids than its
   */
  #ownPeer(message: Message): Peer {
    const peer = this.#peer;
    if (peer === undefined || (peer.id === message.peerId && this.state.resources.peers.get(peer.id) !== peer)) {
      throw new DfError('not-found', `peer ${message.peerId} not found`);
    }
    if (!this.#isAbout(peer, message)) {
      throw new DfError(
        'invalid-argument',
        `ids of a message must be those of the registration on its stream: host ${peer.host.id}, task ${peer.task.id}, peer ${peer.id}`,
      );
    }
    return peer;
  }

  #isAbout(peer: Peer, message: Message): boolean {
    return (
      message.peerId === peer.id &&
      message.taskId === peer.task.id &&
      message.hostId === peer.host.id &&
      this.state.resources.peers.get(peer.id) === peer
    );
  }

  #schedule(peer: Peer): void {
    const { clock, metrics, scheduler } = this.state;
    const askedAtMs = clock.nowMs();
    this.#isWaiting = true;
    scheduler.schedule(peer, (answer) => {
      this.#isWaiting = false;
      metrics.scheduleDuration.observe(clock.nowMs() - askedAtMs);
      this.#answer(peer, answer);
    });
  }

  #answer(peer: Peer, answer: ScheduleAnswer): void {
    const { task } = peer;
    const { hosts, clock, log } = this.state;
    const ids = { taskId: task.id, peerId: peer.id };
    switch (answer.kind) {
      case 'parents':
        this.#markRunning(peer);
        log.debug({ ...ids, parents: answer.parents.map((parent) => parent.id) }, 'parents found');
        this.#send({
          $case: 'normalTaskResponse',
          value: { candidateParents: parentRecords(answer.parents, hosts) },
        });
        return;
      case 'back-to-source':
        this.#markRunning(peer);
        log.info({ ...ids, reason: answer.reason }, 'peer goes to the source');
        this.#send({ $case: 'needBackToSourceResponse', value: { description: answer.reason } });
        return;
      case 'refused':
        if (peer.can('DownloadFailed') && this.state.resources.peers.get(peer.id) === peer) {
          peer.apply('DownloadFailed', clock.nowMs());
          this.state.scheduler.failed(peer);
        }
        this.#fail(new DfError(answer.code, answer.message));
        return;
      default:
        assertNever(answer);
    }
  }

  /** A task that had failed, or had nobody, while this peer waited has somebody again. */
  #markRunning(peer: Peer): void {
    const { task } = peer;
    if (task.state === 'Pending' || task.state === 'Failed' || task.state === 'Leave') {
      task.apply('Download', this.state.clock.nowMs());
    }
  }

  #send(response: Response): void {
    if (this.call.send({ response })) return;
    // At most one unread answer is kept: a reschedule is refused until the client has taken it.
    this.#isBlocked = true;
    void this.call.whenWritable().then(() => {
      this.#isBlocked = false;
    });
  }

  /** A message could not be handled: the peer has failed and the stream ends with the reason. */
  #giveUp(message: Message, error: DfError): void {
    const { resources, scheduler, clock, metrics } = this.state;
    const peer = this.#peer;
    countFailure(message, peer, metrics);
    if (peer !== undefined && resources.peers.get(peer.id) === peer) {
      if (peer.can('DownloadFailed') && peer.state !== 'Succeeded') {
        peer.apply('DownloadFailed', clock.nowMs());
        scheduler.failed(peer);
      }
    }
    this.#fail(error);
  }

  #fail(error: DfError): void {
    if (this.#isOver) return;
    this.state.metrics.announcePeer.failure.inc();
    this.state.log.debug({ err: error, peerId: this.#peer?.id }, 'announce stream failed');
    this.#close(error.message);
    this.call.fail(grpcStatusOf(error.code), error.message);
  }

  #end(description?: string): void {
    this.#close(description);
    this.call.end();
  }

  /** @param description why the download has failed, for its record */
  #close(description = ''): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onOver();
    const peer = this.#peer;
    if (peer === undefined) return;
    this.state.records.ended(peer, description);
    this.state.downloads.delete(peer.id);
    if (this.state.resources.peers.get(peer.id) === peer) this.state.scheduler.detached(peer);
  }
}
