import { DfError } from '@dragonfly/errors';
import type { PieceStore } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { OpenPiece, PieceKind, PieceSource } from '@dragonfly/vortex';
import type { UploadCounters } from './upload-counters.js';

/** Longest wait for a piece that this process is fetching: fetching and writing it may each take their full time. */
const MAX_WAIT_MS = 720_000;

/** Serves the pieces of the store to other peers. */
export class StoredPieceSource implements PieceSource {
  constructor(
    private readonly store: PieceStore,
    private readonly counters: UploadCounters,
  ) {}

  async open(
    kind: PieceKind,
    taskId: string,
    pieceNumber: number,
    signal: AbortSignal,
  ): Promise<OpenPiece | 'not-found'> {
    const task = this.store.get(kind, taskId);
    if (task === undefined) return 'not-found';
    try {
      if (task.pieceState(pieceNumber) === 'in-progress') {
        await task.waitForPiece(pieceNumber, AbortSignal.any([signal, AbortSignal.timeout(MAX_WAIT_MS)]));
      }
      const opened = await task.openForRead(pieceNumber, signal);
      const uploaded = this.counters.begin(taskId, opened.lengthBytes);
      return {
        // From the child's side of view, as the original tells it: not how this daemon came by the piece.
        piece: { ...opened.piece, trafficType: commonV2.TrafficType.REMOTE_PEER },
        fd: opened.fd,
        fileOffset: opened.fileOffset,
        release: () => {
          uploaded();
          opened.release();
        },
      };
    } catch (error) {
      if (error instanceof DfError && error.code === 'not-found') return 'not-found';
      throw error;
    }
  }
}
