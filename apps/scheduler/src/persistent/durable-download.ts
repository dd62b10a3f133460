import type { commonV2 } from '@dragonfly/proto';
import { isFromOwnHost } from '../announce/piece-reports.js';
import type { DownloadEnd } from '../records/download-record.js';
import type { DownloadRecorder } from '../records/download-recorder.js';
import type { DownloadTally, TalliedParent } from '../records/download-tally.js';
import type { DurableKind } from './durable-kind.js';
import type { PeerView } from './durable-messages.js';
import type { DurablePeer, DurableTask } from './durable-records.js';
import type { KnownHost } from './host-book.js';

/** Parents of one download whose hosts are remembered; of further ones the bytes count, but not whose they were. */
const MAX_PARENTS = 128;

/** The record of one download of a durable task, while it runs. */
export class DurableDownload {
  readonly #tally: DownloadTally | undefined;
  readonly #parents = new Map<string, TalliedParent>();
  #isWritten = false;

  constructor(
    private readonly recorder: DownloadRecorder,
    private readonly kind: DurableKind,
    private readonly task: DurableTask,
    private readonly host: KnownHost,
  ) {
    this.#tally = recorder.open(host.idc);
  }

  /** The peer was told to fetch from these. */
  offered(parents: readonly PeerView[]): void {
    if (this.#tally === undefined) return;
    for (const { peer, host } of parents) {
      if (this.#parents.size >= MAX_PARENTS) return;
      this.#parents.set(peer.id, { id: peer.id, host: { id: host.id, facts: host } });
    }
  }

  pieceFinished(piece: commonV2.Piece, isFromSource: boolean): void {
    const lengthBytes = Number(piece.length);
    if (isFromOwnHost(piece, isFromSource)) this.#tally?.pieceFound(lengthBytes);
    else this.#tally?.pieceFinished(this.#parents.get(piece.parentId ?? ''), isFromSource, lengthBytes);
  }

  /** @param parentId empty for the source */
  pieceFailed(parentId: string): void {
    this.#tally?.pieceFailed(parentId, this.#parents.get(parentId)?.host.id ?? '');
  }

  /** The first end counts. @param description why it failed */
  ended(peer: DurablePeer, result: DownloadEnd, description = ''): void {
    if (this.#tally === undefined || this.#isWritten) return;
    this.#isWritten = true;
    const { task, host } = this;
    this.recorder.write(this.#tally, {
      startedAtMs: peer.createdAtMs,
      taskId: task.id,
      peerId: peer.id,
      hostId: host.id,
      hostname: host.record.hostname,
      ip: host.record.ip,
      idc: host.idc,
      isSeed: host.isSeed,
      taskType: this.kind.taskType,
      url: task.url,
      application: task.application,
      tag: task.tag,
      result,
      description,
      contentLengthBytes: Number(task.contentLengthBytes),
      // Parents of durable tasks are ranked by place alone, whatever the strategies of the cluster.
      strategy: '',
    });
  }
}
