import { read } from 'node:fs';
import { promisify } from 'node:util';
import { DfError } from '@dragonfly/errors';
import { pieceRange } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { commonV2, type dfdaemonV2 } from '@dragonfly/proto';
import type { ServerStream } from '@dragonfly/rpc';
import { UNKNOWN_CONTENT_LENGTH } from '../download/registration.js';
import type { DownloadManager } from '../download/download-manager.js';
import type { DownloadRequest } from '../download/download-request.js';
import { pieceMessage } from '../download/piece-message.js';
import type { DownloadResult, StartedInfo } from '../download/task-run.js';
import { trafficTypeOf, type TrafficOrigin } from '../download/traffic.js';

const readAt = promisify(read);

type Message =
  | { readonly kind: 'started'; readonly info: StartedInfo }
  | { readonly kind: 'piece'; readonly record: PieceRecord; readonly origin: TrafficOrigin };

export interface TaskStreamOptions {
  readonly hostId: string;
  readonly downloads: DownloadManager;
  readonly request: DownloadRequest;
  readonly stream: ServerStream<dfdaemonV2.DownloadTaskResponse>;
  /** Ends the download; often, but not always, the stream's own signal. */
  readonly signal: AbortSignal;
}

/**
 * Downloads and tells of it as DownloadTask does: `started` with the pieces to expect, then each piece once, in any
 * order. A slow reader holds nothing back but its own messages: they wait as records, contents are read when sent.
 * @returns once every message is written (or the reader is gone)
 */
export async function streamDownload(options: TaskStreamOptions): Promise<DownloadResult> {
  const { downloads, request, stream, signal } = options;
  const queue: Message[] = [];
  let wake = (): void => {};
  let isOver = false;
  const push = (message: Message): void => {
    if (stream.isOver) return;
    queue.push(message);
    wake();
  };
  const download = downloads
    .download(
      request,
      {
        started: (info) => {
          push({ kind: 'started', info });
        },
        piece: (record, origin) => {
          push({ kind: 'piece', record, origin });
        },
      },
      signal,
    )
    .finally(() => {
      isOver = true;
      wake();
    });
  const sending = (async (): Promise<void> => {
    let started: StartedInfo | undefined;
    for (;;) {
      const message = queue.shift();
      if (message === undefined) {
        if (isOver) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (message.kind === 'started') started = message.info;
      if (started === undefined || stream.isOver) continue;
      await stream.sendWhenWritable({
        hostId: options.hostId,
        taskId: request.taskId,
        peerId: started.peerId,
        response:
          message.kind === 'started'
            ? { $case: 'downloadTaskStartedResponse', value: startedMessage(message.info) }
            : {
                $case: 'downloadPieceFinishedResponse',
                value: { piece: await finishedPiece(message, started.task, request, signal) },
              },
      });
    }
  })();
  const [result] = await Promise.all([download, sending]);
  return result;
}

function startedMessage(info: StartedInfo): dfdaemonV2.DownloadTaskStartedResponse {
  const { task, range, wanted } = info;
  const length = task.contentLengthBytes;
  const first = wanted?.first ?? 0;
  const count = wanted?.count ?? task.pieceCount ?? 0;
  return {
    contentLength: length === undefined ? UNKNOWN_CONTENT_LENGTH : BigInt(length),
    range: range === undefined ? undefined : { start: BigInt(range.start), length: BigInt(range.length) },
    responseHeader: { ...task.meta.responseHeader },
    pieces: Array.from({ length: count }, (_, index) => {
      const { offsetBytes, lengthBytes } = pieceRange(first + index, length ?? 0, task.pieceLengthBytes);
      return commonV2.Piece.fromPartial({
        number: first + index,
        offset: BigInt(offsetBytes),
        length: BigInt(lengthBytes),
        cost: {},
        createdAt: new Date(),
      });
    }),
    isFinished: info.isFinished,
  };
}

async function finishedPiece(
  message: Message & { kind: 'piece' },
  task: StoredTask,
  request: DownloadRequest,
  signal: AbortSignal,
): Promise<commonV2.Piece> {
  const piece = pieceMessage(message.record, trafficTypeOf(message.origin));
  if (!request.download.needPieceContent) return piece;
  return { ...piece, content: await readPiece(task, message.record.number, signal) };
}

async function readPiece(task: StoredTask, number: number, signal: AbortSignal): Promise<Buffer> {
  const opened = await task.openForRead(number, signal);
  try {
    const content = Buffer.allocUnsafe(opened.lengthBytes);
    let filled = 0;
    while (filled < content.length) {
      const position = opened.fileOffset + filled;
      const { bytesRead } = await readAt(opened.fd, content, filled, content.length - filled, position);
      if (bytesRead === 0) throw new DfError('data-loss', `piece ${number} is shorter than its record says`);
      filled += bytesRead;
    }
    return content;
  } finally {
    opened.release();
  }
}
