import { once } from 'node:events';
import { linkSync, writeFileSync } from 'node:fs';
import { Metadata, Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js';
import { commonV2, dfdaemonV2 } from '@dragonfly/proto';

type Call = ServerWritableStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>;

/** Answers one DownloadTask; ends the call itself. */
export type DownloadTask = (call: Call, download: commonV2.Download) => void | Promise<void>;

/** A daemon that has only the gRPC download service, as those of the original project. */
export class FakeGrpcDaemon {
  private constructor(
    private readonly server: Server,
    readonly requests: readonly commonV2.Download[],
  ) {}

  static async start(path: string, downloadTask: DownloadTask): Promise<FakeGrpcDaemon> {
    const requests: commonV2.Download[] = [];
    const server = new Server();
    server.addService(
      { downloadTask: dfdaemonV2.DfdaemonDownloadService.downloadTask },
      {
        downloadTask: (call: Call) => {
          const download = call.request.download;
          if (download === undefined) {
            fail(call, status.INVALID_ARGUMENT, 'no download');
            return;
          }
          requests.push(download);
          void downloadTask(call, download);
        },
      },
    );
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    return new FakeGrpcDaemon(server, requests);
  }

  close(): void {
    this.server.forceShutdown();
  }
}

/** @param binaryDetails what stands in `grpc-status-details-bin` */
export function fail(call: Call, code: status, details: string, binaryDetails?: string): void {
  const metadata = new Metadata();
  if (binaryDetails !== undefined) metadata.set('grpc-status-details-bin', Buffer.from(binaryDetails));
  call.emit('error', { code, details, metadata });
}

export const PIECE_BYTES = 4 * 1024 * 1024;

/** The pieces of a content. */
export function piecesOf(content: Buffer): commonV2.Piece[] {
  const count = Math.ceil(content.length / PIECE_BYTES);
  return Array.from({ length: count }, (_, number) => {
    const offset = number * PIECE_BYTES;
    return commonV2.Piece.fromPartial({
      number,
      offset: BigInt(offset),
      length: BigInt(Math.min(PIECE_BYTES, content.length - offset)),
    });
  });
}

/** Serves one content as the original daemon does: the output is linked at once, pieces are reported, content if asked for. */
export function servingByGrpc(storeFile: string, content: Buffer): DownloadTask {
  return async (call, download) => {
    writeFileSync(storeFile, content);
    if (download.outputPath !== undefined && download.range === undefined) linkSync(storeFile, download.outputPath);
    const interested = piecesOf(content).filter((piece) => isInRange(piece, download.range));
    call.write(
      message({
        $case: 'downloadTaskStartedResponse',
        value: dfdaemonV2.DownloadTaskStartedResponse.fromPartial({
          contentLength: BigInt(content.length),
          pieces: interested,
        }),
      }),
    );
    // Any order is allowed.
    for (const piece of interested.reverse()) {
      const finished = commonV2.Piece.fromPartial({
        ...piece,
        trafficType: piece.number === 0 ? commonV2.TrafficType.BACK_TO_SOURCE : commonV2.TrafficType.REMOTE_PEER,
        parentId: piece.number === 1 ? '10.0.0.1-h-uuid-seed' : '10.0.0.2-h-uuid',
        content: download.needPieceContent
          ? content.subarray(Number(piece.offset), Number(piece.offset + piece.length))
          : undefined,
      });
      const isTaken = call.write(message({ $case: 'downloadPieceFinishedResponse', value: { piece: finished } }));
      if (!isTaken) await once(call, 'drain');
    }
    call.end();
  };
}

export function message(response: dfdaemonV2.DownloadTaskResponse['response']): dfdaemonV2.DownloadTaskResponse {
  return { hostId: 'host', taskId: 'task', peerId: 'peer', response };
}

function isInRange(piece: commonV2.Piece, range: commonV2.Range | undefined): boolean {
  return (
    range === undefined || (piece.offset < range.start + range.length && piece.offset + piece.length > range.start)
  );
}
