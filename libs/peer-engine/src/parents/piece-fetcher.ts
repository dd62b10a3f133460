import { DfError } from '@dragonfly/errors';
import { crc32OfDigest } from '@dragonfly/ids';
import type { PieceRecord, PieceWriter, TaskKind } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { type SpanAttributes, withSpan } from '@dragonfly/telemetry/spans';
import type { RateLimiter, VortexClient } from '@dragonfly/vortex';
import type { OfferedPiece } from './piece-collector.js';

export interface PieceFetch {
  readonly kind: TaskKind;
  readonly taskId: string;
  readonly piece: OfferedPiece;
  /** Peer id of the parent. */
  readonly parentId: string;
  /** Committed or aborted by the fetcher. */
  readonly writer: PieceWriter;
  /** Further limits, such as that of the request. */
  readonly limiters: readonly RateLimiter[];
  readonly signal: AbortSignal;
  /** The limits let the piece pass: the parent is asked now. */
  readonly onAsked?: () => void;
  /** The parent has sent some of it. */
  readonly onBytes?: () => void;
}

/** Brings one piece from a parent into the store. */
export interface PieceFetcher {
  /** @throws DfError; `data-loss` means that the parent serves wrong bytes */
  fetch(request: PieceFetch): Promise<PieceRecord>;
}

/** {@link PieceFetcher} over vortex. */
export class VortexPieceFetcher implements PieceFetcher {
  constructor(
    private readonly client: VortexClient,
    private readonly downloadLimiter: RateLimiter,
  ) {}

  async fetch(request: PieceFetch): Promise<PieceRecord> {
    const { piece, writer, signal } = request;
    try {
      for (const limiter of [this.downloadLimiter, ...request.limiters]) await limiter.take(piece.lengthBytes, signal);
      request.onAsked?.();
      // The piece protocol has no place for a trace context: this side's view is all there is.
      const received = await withSpan('download_piece', { kind: 'client', attributes: attributesOf(request) }, () =>
        this.client.fetchPiece({
          host: piece.host,
          port: piece.port,
          kind: request.kind,
          taskId: request.taskId,
          pieceNumber: piece.number,
          expectedLengthBytes: piece.lengthBytes,
          expectedOffsetBytes: piece.offsetBytes,
          sink: writer,
          signal,
          onBytes: request.onBytes,
        }),
      );
      const checksum = crc32OfDigest(received.digest);
      if (checksum === undefined) throw new DfError('internal', `not a piece digest: ${received.digest}`);
      return await writer.commit({
        lengthBytes: piece.lengthBytes,
        crc32: checksum,
        parentId: request.parentId,
        trafficType: commonV2.TrafficType.REMOTE_PEER,
        costMs: received.durationMs,
      });
    } catch (error) {
      writer.abort();
      throw error;
    }
  }
}

function attributesOf({ piece, taskId, parentId }: PieceFetch): SpanAttributes {
  return {
    task_id: taskId,
    piece_number: piece.number,
    piece_length: piece.lengthBytes,
    remote_peer_id: parentId,
    'server.address': piece.host,
    'server.port': piece.port,
  };
}
