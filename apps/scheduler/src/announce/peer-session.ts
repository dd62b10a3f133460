import { assertNever, DfError, grpcStatusOf } from '@dragonfly/errors';
import { asHostId, asPeerId } from '@dragonfly/ids';
import { type commonV2, durationToMs, schedulerV2 } from '@dragonfly/proto';
import type { StreamCall } from '@dragonfly/rpc';
import { asPriority, effectivePriority, type Peer, type ScheduleAnswer } from '@dragonfly/scheduling';
import { hostTypeOf, peerLabels, taskSizeLevel } from '../metrics.js';
import type { SchedulerState } from '../scheduler-state.js';
import { parentRecords } from '../wire/wire-records.js';
import { taskOf } from './content-facts.js';

export type AnnounceCall = StreamCall<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>;
type Message = schedulerV2.AnnouncePeerRequest;
type Response = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;

const TRAFFIC_FROM_SOURCE = 0;
const TRAFFIC_FROM_PEER = 1;

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

  private constructor(
    private readonly call: AnnounceCall,
    private readonly state: SchedulerState,
    private readonly onOver: () => void,
  ) {}

  /** Serves the call until one side ends it, which `onOver` is told once, never from within this call. */
  static serve(call: AnnounceCall, state: SchedulerState, onOver: () => void = () => undefined): PeerSession {
    const session = new PeerSession(call, state, onOver);
    state.metrics.announcePeer.total.inc();
    call.onMessage((message) => {
      session.#receive(message);
    });
    call.onEnd(() => {
      if (session.#isOver) return;
      session.#close();
      call.end();
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

  #receive(message: Message): void {
    if (this.#isOver) return;
    try {
      this.#handle(message);
    } catch (caught) {
      this.#giveUp(message, DfError.from(caught));
    }
  }

  #handle(message: Message): void {
    const { request } = message;
    if (request === undefined) throw new DfError('invalid-argument', 'AnnouncePeerRequest.request: value is required');
    switch (request.$case) {
      case 'registerPeerRequest':
        this.#register(message, request.value.download);
        return;
      case 'downloadPeerStartedRequest':
        this.#started(this.#peerOf(message));
        return;
      case 'downloadPeerBackToSourceStartedRequest':
        this.#backToSourceStarted(this.#peerOf(message));
        return;
      case 'reschedulePeerRequest':
        this.#reschedule(this.#peerOf(message), request.value);
        return;
      case 'downloadPeerFinishedRequest':
        this.#finished(this.#peerOf(message));
        return;
      case 'downloadPeerBackToSourceFinishedRequest':
        this.#backToSourceFinished(this.#peerOf(message));
        return;
      case 'downloadPeerFailedRequest':
        this.#failed(this.#peerOf(message), request.value.description);
        return;
      case 'downloadPeerBackToSourceFailedRequest':
        this.#backToSourceFailed(this.#peerOf(message), request.value.description);
        return;
      case 'downloadPieceFinishedRequest':
        this.#pieceFinished(message.peerId, request.value.piece, false);
        return;
      case 'downloadPieceBackToSourceFinishedRequest':
        this.#pieceFinished(message.peerId, request.value.piece, true);
        return;
      case 'downloadPieceFailedRequest':
        this.#pieceFailed(message.peerId, request.value);
        return;
      case 'downloadPieceBackToSourceFailedRequest':
        this.#pieceBackToSourceFailed(message.peerId);
        return;
      default:
        assertNever(request);
    }
  }

  #register(message: Message, download: commonV2.Download | undefined): void {
    if (download === undefined) throw new DfError('invalid-argument', 'RegisterPeerRequest.download: is required');
    const { state } = this;
    const nowMs = state.clock.nowMs();
    const host = state.resources.hosts.get(asHostId(message.hostId));
    if (host === undefined) throw new DfError('not-found', `host ${message.hostId} not found`);
    const requested = asPriority(download.priority);
    if (requested === undefined) {
      throw new DfError('invalid-argument', `download.priority: ${download.priority} is no priority`);
    }
    const known = state.resources.peers.get(asPeerId(message.peerId));
    // A second registration of the same id is a mistake of the caller; the running download is not to suffer from it.
    if (known !== undefined) {
      throw new DfError(
        'internal',
        `event RegisterNormal inappropriate in current state ${known.state} of peer ${known.id}`,
      );
    }
    const task = taskOf(state, message.taskId, download);
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
    this.#peer = peer;
    state.metrics.registerPeer.total.inc(labelsOf(peer));
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

  #started(peer: Peer): void {
    this.state.metrics.downloadPeerStarted.total.inc(labelsOf(peer));
    // Clients say this again after every new set of parents.
    if (peer.state !== 'Running') peer.apply('Download', this.state.clock.nowMs());
    this.state.scheduler.heardFrom(peer);
  }

  #backToSourceStarted(peer: Peer): void {
    this.state.metrics.downloadPeerBackToSourceStarted.total.inc(labelsOf(peer));
    if (peer.state !== 'BackToSource') peer.apply('DownloadBackToSource', this.state.clock.nowMs());
    this.state.scheduler.wentToSource(peer);
  }

  #reschedule(peer: Peer, request: schedulerV2.ReschedulePeerRequest): void {
    if (this.#isWaiting || this.#isBlocked) {
      throw new DfError('failed-precondition', `peer ${peer.id} asked for parents before it took the last answer`);
    }
    for (const parent of request.candidateParents) peer.blockParent(parent.id);
    this.#schedule(peer);
  }

  #finished(peer: Peer): void {
    this.#succeed(peer);
    this.#end();
  }

  #backToSourceFinished(peer: Peer): void {
    const { task } = peer;
    const nowMs = this.state.clock.nowMs();
    if (peer.range === undefined) {
      if (task.state !== 'Succeeded') task.apply('DownloadSucceeded', nowMs);
      if (task.contentLengthBytes === undefined) {
        // The source did not tell the length; its pieces do.
        task.contentLengthBytes = task.sourcePieces.bytes;
        task.pieceCount = task.sourcePieces.size;
      }
    }
    this.#succeed(peer);
    this.state.scheduler.contentChanged(task);
    this.#end();
  }

  #succeed(peer: Peer): void {
    const { state } = this;
    const nowMs = state.clock.nowMs();
    peer.apply('DownloadSucceeded', nowMs);
    peer.costMs = nowMs - peer.createdAtMs;
    state.metrics.downloadPeerFinished.total.inc(labelsOf(peer));
    state.metrics.downloadPeerDuration.observe(
      { task_size_level: taskSizeLevel(peer.task.contentLengthBytes) },
      peer.costMs,
    );
    state.scheduler.succeeded(peer);
    state.log.info(
      { taskId: peer.task.id, peerId: peer.id, hostId: peer.host.id, costMs: peer.costMs },
      'peer has finished',
    );
  }

  #failed(peer: Peer, description: string | undefined): void {
    const { state } = this;
    peer.apply('DownloadFailed', state.clock.nowMs());
    state.metrics.downloadPeerFinished.failure.inc(labelsOf(peer));
    state.scheduler.failed(peer);
    state.log.info({ taskId: peer.task.id, peerId: peer.id, hostId: peer.host.id, description }, 'peer has failed');
    this.#end();
  }

  #backToSourceFailed(peer: Peer, description: string | undefined): void {
    const { state } = this;
    const { task } = peer;
    const nowMs = state.clock.nowMs();
    peer.apply('DownloadFailed', nowMs);
    task.refreshOfferable(peer);
    // The task has failed with its last hope; peers that have the content keep it.
    if (task.offerable.length === 0 && task.state === 'Running') task.apply('DownloadFailed', nowMs);
    state.metrics.downloadPeerBackToSourceFinishedFailure.inc(labelsOf(peer));
    state.scheduler.failed(peer);
    state.log.info(
      { taskId: task.id, peerId: peer.id, hostId: peer.host.id, description },
      'peer has failed to fetch the task from the source',
    );
    this.#end();
  }

  /** The hot path: one call per piece of every download. Errors in a report are not worth ending a download for. */
  #pieceFinished(peerId: string, piece: commonV2.Piece | undefined, isFromSource: boolean): void {
    const { resources, scheduler, metrics, clock } = this.state;
    const peer = resources.peers.get(asPeerId(peerId));
    if (peer === undefined || piece === undefined) {
      this.state.log.debug({ peerId }, 'piece report of an unknown peer');
      return;
    }
    const nowMs = clock.nowMs();
    const costMs = piece.cost === undefined ? 0 : durationToMs(piece.cost);
    const lengthBytes = Number(piece.length);
    peer.pieces.add(piece.number);
    peer.costs.add(costMs);
    peer.updatedAtMs = nowMs;
    peer.pieceUpdatedAtMs = nowMs;
    peer.task.updatedAtMs = nowMs;
    if (isFromSource) {
      peer.task.sourcePieces.add({
        number: piece.number,
        offsetBytes: Number(piece.offset),
        lengthBytes,
        digest: piece.digest,
        costMs,
        createdAtMs: piece.createdAt?.getTime() ?? nowMs,
      });
    } else if (piece.parentId !== undefined && piece.parentId !== '') {
      const parent = resources.peers.get(asPeerId(piece.parentId));
      if (parent !== undefined) {
        parent.updatedAtMs = nowMs;
        parent.host.updatedAtMs = nowMs;
      }
    }
    scheduler.pieceFinished(peer, nowMs);
    metrics.pieceFinished(
      piece.trafficType ?? (isFromSource ? TRAFFIC_FROM_SOURCE : TRAFFIC_FROM_PEER),
      hostTypeOf(peer.host.facts.isSeed),
      lengthBytes,
    );
  }

  #pieceFailed(peerId: string, request: schedulerV2.DownloadPieceFailedRequest): void {
    const { resources, metrics, log } = this.state;
    const peer = resources.peers.get(asPeerId(peerId));
    if (peer === undefined) {
      log.debug({ peerId }, 'piece failure of an unknown peer');
      return;
    }
    peer.updatedAtMs = this.state.clock.nowMs();
    metrics.pieceFailed(TRAFFIC_FROM_PEER, hostTypeOf(peer.host.facts.isSeed));
    if (!request.temporary) {
      log.debug({ peerId, parentId: request.parentId }, 'piece failure that is not temporary');
      return;
    }
    peer.blockParent(request.parentId);
    const parent = resources.peers.get(asPeerId(request.parentId));
    if (parent !== undefined) parent.host.uploadFailedCount += 1;
  }

  #pieceBackToSourceFailed(peerId: string): void {
    const { resources, metrics, clock } = this.state;
    const peer = resources.peers.get(asPeerId(peerId));
    if (peer === undefined) return;
    peer.updatedAtMs = clock.nowMs();
    peer.task.updatedAtMs = peer.updatedAtMs;
    metrics.pieceFailed(TRAFFIC_FROM_SOURCE, hostTypeOf(peer.host.facts.isSeed));
  }

  #peerOf(message: Message): Peer {
    const peer = this.state.resources.peers.get(asPeerId(message.peerId));
    if (peer === undefined) throw new DfError('not-found', `peer ${message.peerId} not found`);
    return peer;
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
    if (peer !== undefined && resources.peers.get(peer.id) === peer && peer.id === message.peerId) {
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
    this.#close();
    this.call.fail(grpcStatusOf(error.code), error.message);
  }

  #end(): void {
    this.#close();
    this.call.end();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onOver();
    const peer = this.#peer;
    if (peer === undefined) return;
    this.state.downloads.delete(peer.id);
    if (this.state.resources.peers.get(peer.id) === peer) this.state.scheduler.detached(peer);
  }
}

function labelsOf(peer: Peer): ReturnType<typeof peerLabels> {
  return peerLabels(peer.priority, peer.host.facts.isSeed);
}

function countFailure(message: Message, peer: Peer | undefined, metrics: SchedulerState['metrics']): void {
  const labels = peer === undefined ? peerLabels(0, false) : labelsOf(peer);
  switch (message.request?.$case) {
    case 'registerPeerRequest':
      metrics.registerPeer.failure.inc(labels);
      return;
    case 'downloadPeerStartedRequest':
      metrics.downloadPeerStarted.failure.inc(labels);
      return;
    case 'downloadPeerBackToSourceStartedRequest':
      metrics.downloadPeerBackToSourceStarted.failure.inc(labels);
      return;
    case 'downloadPeerFinishedRequest':
      metrics.downloadPeerFinished.failure.inc(labels);
      return;
    case 'downloadPeerBackToSourceFinishedRequest':
      metrics.downloadPeerBackToSourceFinishedFailure.inc(labels);
      return;
    default:
      return;
  }
}
