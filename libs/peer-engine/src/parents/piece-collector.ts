import { Metadata } from '@grpc/grpc-js';
import type { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { hostPort, readStream, type SharedClients } from '@dragonfly/rpc';
import { CONTENT_VERSION_KEY } from './content-version.js';

/** A piece that a parent has, and where its bytes are served. */
export interface OfferedPiece {
  readonly number: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly host: string;
  /** Port of its vortex server; 0 when the parent names none. */
  readonly port: number;
}

/** Tells which pieces a parent has, now and as it gets them. */
export interface PieceCollector {
  /**
   * Asks one parent about pieces, and ends when the parent has nothing more to tell.
   * @param version of the content that the pieces shall be of; undefined: not known
   * @throws DfError when the parent cannot be asked, or tells nothing for too long
   */
  collect(
    parent: commonV2.Peer & { readonly host: commonV2.Host },
    taskId: string,
    pieces: readonly number[],
    signal: AbortSignal,
    version?: string,
  ): AsyncIterable<OfferedPiece>;
}

/** {@link PieceCollector} over SyncPieces. */
export class SyncPiecesCollector implements PieceCollector {
  /** @param gapTimeoutMs longest time between two messages of a parent */
  constructor(
    private readonly connections: SharedClients<dfdaemonV2.DfdaemonUploadClient>,
    private readonly hostId: string,
    private readonly gapTimeoutMs: number,
  ) {}

  async *collect(
    parent: commonV2.Peer & { readonly host: commonV2.Host },
    taskId: string,
    pieces: readonly number[],
    signal: AbortSignal,
    version?: string,
  ): AsyncIterable<OfferedPiece> {
    const connection = this.connections.acquire(hostPort(parent.host.ip, parent.host.port));
    try {
      // No deadline: a parent that is still downloading tells of pieces as they come.
      const metadata = new Metadata();
      if (version !== undefined) metadata.set(CONTENT_VERSION_KEY, version);
      const request = { hostId: this.hostId, taskId, interestedPieceNumbers: [...pieces] };
      const call = connection.client.syncPieces(request, metadata);
      const messages = readStream<dfdaemonV2.SyncPiecesResponse>(call, { signal, idleTimeoutMs: this.gapTimeoutMs });
      for await (const message of messages) {
        yield {
          number: message.number,
          offsetBytes: Number(message.offset),
          lengthBytes: Number(message.length),
          host: message.ip === '' ? parent.host.ip : message.ip,
          port: message.tcpPort ?? 0,
        };
      }
    } finally {
      connection.release();
    }
  }
}
