import { DfError } from '@dragonfly/errors';
import { type DeepPartial, dfdaemonV2, type Empty } from '@dragonfly/proto';
import { GrpcServer, handleServerStream, handleUnary, type ServerStream } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

type Download = NonNullable<dfdaemonV2.DownloadTaskRequest['download']>;
type DownloadStream = ServerStream<dfdaemonV2.DownloadTaskResponse>;

/** What one content is made of when a fake daemon downloads it. */
export const FAKE_PIECE_BYTES = 4n * 1024n * 1024n;

/** The gRPC service of a daemon with two pieces of every content; a test replaces what it wants to be different. */
export class FakeDaemon implements AsyncDisposable {
  readonly downloads: Download[] = [];
  readonly deleted: string[] = [];
  /** Ids of the tasks it holds, and whether they are complete. */
  readonly held = new Map<string, boolean>();
  entries: DeepPartial<dfdaemonV2.Entry>[] = [];
  running = 0;
  mostRunning = 0;
  #server: GrpcServer | undefined;

  /** Whole downloads by default: started, two pieces, end. */
  onDownload: (download: Download, stream: DownloadStream) => Promise<void> = async (download, stream) => {
    await sendContent(stream, download.url);
  };
  onDelete: (taskId: string) => void = (taskId) => {
    if (!this.held.delete(taskId)) throw new DfError('not-found', `task ${taskId} not found`);
  };

  static async start(): Promise<FakeDaemon> {
    const daemon = new FakeDaemon();
    const log = silentLogger();
    daemon.#server = await GrpcServer.start({
      addresses: ['127.0.0.1:0'],
      log,
      services: [
        {
          service: dfdaemonV2.DfdaemonUploadService,
          implementation: {
            downloadTask: handleServerStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>(
              (request, stream) => daemon.#download(request, stream),
              log,
            ),
            statLocalTask: handleUnary<dfdaemonV2.StatLocalTaskRequest, dfdaemonV2.StatLocalTaskResponse>(
              async ({ taskId }) => daemon.#stat(taskId),
              log,
            ),
            deleteTask: handleUnary<dfdaemonV2.DeleteTaskRequest, Empty>(async ({ taskId }) => {
              daemon.onDelete(taskId);
              daemon.deleted.push(taskId);
              return {};
            }, log),
            listTaskEntries: handleUnary<dfdaemonV2.ListTaskEntriesRequest, dfdaemonV2.ListTaskEntriesResponse>(
              async () => ({ entries: daemon.entries }),
              log,
            ),
          },
        },
      ],
    });
    return daemon;
  }

  get port(): number {
    return this.#server?.ports[0] ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(0);
  }

  async #download({ download }: dfdaemonV2.DownloadTaskRequest, stream: DownloadStream): Promise<void> {
    if (download === undefined) throw new DfError('invalid-argument', 'no download');
    this.downloads.push(download);
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.onDownload(download, stream);
    } finally {
      this.running -= 1;
    }
  }

  #stat(taskId: string): DeepPartial<dfdaemonV2.StatLocalTaskResponse> {
    const isComplete = this.held.get(taskId);
    if (isComplete === undefined) throw new DfError('not-found', `task ${taskId} not found`);
    const at = new Date(1_700_000_000_000);
    return { taskId, createdAt: at, updatedAt: at, finishedAt: isComplete ? at : undefined };
  }
}

/** Sends what a daemon says about a content of two pieces. */
export async function sendContent(stream: DownloadStream, taskId: string, pieces = 2): Promise<void> {
  const ids = { hostId: 'host', taskId, peerId: 'peer' };
  await stream.sendWhenWritable({
    ...ids,
    response: {
      $case: 'downloadTaskStartedResponse',
      value: dfdaemonV2.DownloadTaskStartedResponse.fromPartial({ contentLength: 2n * FAKE_PIECE_BYTES }),
    },
  });
  for (let number = 0; number < pieces; number++) {
    await stream.sendWhenWritable({
      ...ids,
      response: {
        $case: 'downloadPieceFinishedResponse',
        value: dfdaemonV2.DownloadPieceFinishedResponse.fromPartial({ piece: { number, length: FAKE_PIECE_BYTES } }),
      },
    });
  }
}
