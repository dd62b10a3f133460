import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { commonV2, durationToMs, type schedulerV2 } from '@dragonfly/proto';
import type { StreamCall } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { selectCandidates } from './candidates.js';
import type { OriginalFigures } from './figures.js';
import { HostRow, PeerRow, type Resources, TaskRow } from './resources.js';
import type { Seeds } from './seeds.js';

type Request = schedulerV2.AnnouncePeerRequest;
type Report = NonNullable<Request['request']>;
type Answer = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;
type Call = StreamCall<Request, schedulerV2.AnnouncePeerResponse>;

/** What became of a message: an answer, the end of the stream, or nothing. */
type Reaction = Answer | 'close' | 'nothing';

export interface AnnounceParts {
  readonly resources: Resources;
  readonly seeds: Seeds;
  readonly figures: OriginalFigures;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** AnnouncePeer as the original handles it: one message after the other, a registration holds up all that follow it. */
export class Announcements {
  constructor(private readonly parts: AnnounceParts) {}

  handle(call: Call): void {
    const gone = new AbortController();
    call.onCancel(() => gone.abort());
    let turn = Promise.resolve();
    let seen: { readonly peerId: string } | undefined;
    const fail = (caught: unknown): void => {
      if (gone.signal.aborted || call.isOver) return;
      const peer = seen === undefined ? undefined : this.parts.resources.peers.get(seen.peerId);
      // What went wrong with a peer that was never made hides behind its absence.
      const error =
        seen !== undefined && peer === undefined
          ? new DfError('not-found', `peer ${seen.peerId} not found`)
          : DfError.from(caught);
      if (peer !== undefined && peer.state !== 'Failed' && peer.state !== 'Leave') {
        peer.apply('DownloadFailed');
        peer.dropParents();
      }
      call.failWith(error, this.parts.log);
    };
    call.onMessage((message) => {
      seen ??= message;
      turn = turn
        .then(async () => {
          if (call.isOver) return;
          const reaction = await this.react(message, gone.signal);
          if (reaction === 'close') call.end();
          else if (reaction !== 'nothing') call.send({ response: reaction });
        })
        .catch(fail);
    });
    call.onEnd(() => {
      turn = turn.then(() => call.end());
    });
  }

  private async react({ hostId, taskId, peerId, request }: Request, signal: AbortSignal): Promise<Reaction> {
    if (request === undefined) throw new DfError('invalid-argument', 'Request: value is required');
    if (request.$case === 'registerPeerRequest') return this.register(hostId, taskId, peerId, request.value, signal);
    const peer = this.parts.resources.peers.get(peerId);
    if (isPieceReport(request)) {
      // Whatever is wrong with it, the original only logs it.
      if (peer !== undefined) this.pieceReport(peer, request);
      return 'nothing';
    }
    if (peer === undefined) throw new DfError('not-found', `peer ${peerId} not found`);
    return this.reportOf(peer, request, signal);
  }

  private async reportOf(peer: PeerRow, report: Exclude<Report, PieceReport>, signal: AbortSignal): Promise<Reaction> {
    const { task } = peer;
    switch (report.$case) {
      case 'registerPeerRequest':
        throw new DfError('internal', 'handled before');
      case 'downloadPeerStartedRequest':
        if (peer.state !== 'Running') peer.apply('Download');
        return 'nothing';
      case 'downloadPeerBackToSourceStartedRequest':
        // A peer that began with parents stays Running.
        if (peer.state !== 'Running') peer.apply('DownloadBackToSource');
        task.backToSource.add(peer);
        peer.dropParents();
        return 'nothing';
      case 'reschedulePeerRequest':
        for (const parent of report.value.candidateParents) peer.blocked.add(parent.id);
        return this.schedule(peer, signal);
      case 'downloadPeerFinishedRequest':
        this.end(peer, 'DownloadSucceeded');
        return 'close';
      case 'downloadPeerBackToSourceFinishedRequest':
        this.end(peer, 'DownloadSucceeded');
        task.backToSource.delete(peer);
        if (peer.download.range === undefined && task.state !== 'Succeeded') task.apply('DownloadSucceeded');
        return 'close';
      case 'downloadPeerFailedRequest':
        this.end(peer, 'DownloadFailed');
        return 'close';
      case 'downloadPeerBackToSourceFailedRequest':
        this.end(peer, 'DownloadFailed');
        task.backToSource.delete(peer);
        task.contentLength = BigInt.asUintN(64, -1n);
        task.pieceCount = 0;
        task.apply('DownloadFailed');
        return 'close';
    }
  }

  private end(peer: PeerRow, event: 'DownloadSucceeded' | 'DownloadFailed'): void {
    peer.apply(event);
    peer.dropParents();
    peer.costMs = Date.now() - peer.createdAt.getTime();
  }

  private pieceReport(peer: PeerRow, report: PieceReport): void {
    peer.updatedAt = new Date();
    switch (report.$case) {
      case 'downloadPieceFinishedRequest':
      case 'downloadPieceBackToSourceFinishedRequest': {
        const { piece } = report.value;
        if (piece === undefined) return;
        peer.pieces.set(piece.number, piece);
        if (piece.cost !== undefined) peer.costs.push(durationToMs(piece.cost) * 1e6);
        if (report.$case === 'downloadPieceBackToSourceFinishedRequest') peer.task.pieces.set(piece.number, piece);
        return;
      }
      case 'downloadPieceFailedRequest':
        if (report.value.temporary) peer.blocked.add(report.value.parentId);
        return;
      case 'downloadPieceBackToSourceFailedRequest':
        return;
    }
  }

  private async register(
    hostId: string,
    taskId: string,
    peerId: string,
    { download }: schedulerV2.RegisterPeerRequest,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { resources } = this.parts;
    const host = resources.hosts.get(hostId);
    if (host === undefined) throw new DfError('not-found', `host ${hostId} not found`);
    if (download === undefined) throw new DfError('invalid-argument', 'Download: value is required');
    const task = this.taskOf(taskId, download);
    const peer = resources.peers.get(peerId) ?? new PeerRow(peerId, host, task, download);
    resources.peers.set(peerId, peer);
    task.peers.set(peerId, peer);
    if (download.metadataOnly) {
      if (task.state !== 'Running') task.apply('Download');
      peer.apply('RegisterNormal');
      return { $case: 'metadataOnlyResponse', value: {} };
    }
    if (!host.isSeed) await this.hold(host, signal);
    this.chooseSource(peer);
    if (task.state !== 'Running') task.apply('Download');
    if (task.sizeScope === commonV2.SizeScope.EMPTY) {
      peer.apply('RegisterEmpty');
      return { $case: 'emptyTaskResponse', value: {} };
    }
    peer.apply('RegisterNormal');
    peer.blocked.add(peer.id);
    return this.schedule(peer, signal);
  }

  /** Lengths of a task that is known are not taken over. */
  private taskOf(taskId: string, download: commonV2.Download): TaskRow {
    const { tasks } = this.parts.resources;
    const known = tasks.get(taskId);
    if (known === undefined) {
      const task = new TaskRow(taskId, download);
      tasks.set(taskId, task);
      return task;
    }
    const { url, filteredQueryParams, requestHeader } = download;
    known.download = { ...known.download, url, filteredQueryParams, requestHeader };
    return known;
  }

  private async hold(host: HostRow, signal: AbortSignal): Promise<void> {
    const { registerDelayMs, maxRegisterDelayMs } = this.parts.figures;
    host.registering += 1;
    try {
      const mostMs = Math.min(maxRegisterDelayMs, registerDelayMs * 2 ** host.registering);
      await delay(mostMs / 2 + this.parts.random() * mostMs, undefined, { signal });
    } finally {
      host.registering -= 1;
    }
  }

  /** Who goes to the source: the peer itself, or a seed that is asked to. */
  private chooseSource(peer: PeerRow): void {
    const { seeds } = this.parts;
    const { task, download, host } = peer;
    if (download.needBackToSource) {
      peer.needsBackToSource = true;
      return;
    }
    const hasAvailablePeer = [...task.peers.values()].some(
      (other) => other.host !== host && ['Running', 'Succeeded', 'BackToSource'].includes(other.state),
    );
    const isToBeFetched = task.state !== 'Running' && (task.state !== 'Succeeded' || !hasAvailablePeer);
    if (!isToBeFetched) return;
    if (host.isSeed || !seeds.hasHealthy) {
      peer.needsBackToSource = true;
      return;
    }
    switch (download.priority) {
      case commonV2.Priority.LEVEL1:
        throw new DfError('failed-precondition', 'LEVEL1 peer is forbidden');
      case commonV2.Priority.LEVEL2:
        throw new DfError('not-found', 'LEVEL2 peer not found candidate peers');
      case commonV2.Priority.LEVEL3:
        peer.needsBackToSource = true;
        return;
      default:
        if (this.hasSeedFailed(task)) peer.needsBackToSource = true;
        else seeds.trigger(task.id, download);
    }
  }

  private hasSeedFailed(task: TaskRow): boolean {
    const last = [...task.peers.values()].filter((peer) => peer.host.isSeed).at(-1);
    const { seedFailureMemoryMs } = this.parts.figures;
    return last?.state === 'Failed' && Date.now() - last.createdAt.getTime() < seedFailureMemoryMs;
  }

  /** Tries until there are parents, then sends the peer to the source. */
  private async schedule(peer: PeerRow, signal: AbortSignal): Promise<Answer> {
    const { figures, random } = this.parts;
    const { task } = peer;
    for (let tries = 0; ; tries += 1) {
      if (task.backToSource.size <= figures.backToSourceCount) {
        if (peer.needsBackToSource) return backToSource("peer's NeedBackToSource is true");
        if (tries >= figures.retryBackToSourceLimit) {
          return backToSource('scheduling exceeded RetryBackToSourceLimit');
        }
      }
      if (tries >= figures.retryLimit) {
        throw new DfError('failed-precondition', 'scheduling exceeded RetryLimit');
      }
      peer.dropParents();
      const parents = selectCandidates(peer, figures, random);
      if (parents.length > 0) {
        for (const parent of parents) {
          peer.parents.add(parent);
          parent.children.add(peer);
        }
        const candidateParents = parents.map((parent) => parent.message());
        return { $case: 'normalTaskResponse', value: { candidateParents } };
      }
      await delay(figures.retryIntervalMs * (0.75 + random() / 2), undefined, { signal });
    }
  }
}

type PieceReport = Extract<
  Report,
  {
    $case:
      | 'downloadPieceFinishedRequest'
      | 'downloadPieceBackToSourceFinishedRequest'
      | 'downloadPieceFailedRequest'
      | 'downloadPieceBackToSourceFailedRequest';
  }
>;

function isPieceReport(report: Report): report is PieceReport {
  return report.$case.startsWith('downloadPiece');
}

function backToSource(description: string): Answer {
  return { $case: 'needBackToSourceResponse', value: { description } };
}
