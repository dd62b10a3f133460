import { DfError } from '@dragonfly/errors';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import type { dfdaemonV2 } from '@dragonfly/proto';
import type { ServerStream } from '@dragonfly/rpc';
import { within } from '../backoff.js';

/** A child that does not read for this long is let go. */
const SEND_TIMEOUT_MS = 10_000;
/** How often a task without news is looked at: its download may have been given up. */
const LIFE_CHECK_INTERVAL_MS = 1000;
/** Piece numbers one child may ask for. */
const MAX_INTERESTED_PIECES = 1_000_000;

export interface SyncPiecesOptions {
  readonly task: StoredTask;
  readonly interested: readonly number[];
  /** Where children fetch piece bytes. */
  readonly endpoint: { readonly ip: string; readonly tcpPort: number };
  /** Whether further pieces of the task may come. */
  readonly isDownloading: () => boolean;
  readonly stream: ServerStream<dfdaemonV2.SyncPiecesResponse>;
}

/**
 * Tells a child which of the pieces it wants are here, each as soon as it is finished. Ends when all were told, or when
 * the rest will not come: the child then asks the scheduler for other parents.
 * @throws DfError `invalid-argument` for too many pieces, `unavailable` when the child does not read,
 * `failed-precondition` when the task is thrown away
 */
export async function syncPieces(options: SyncPiecesOptions): Promise<void> {
  const { task, stream, endpoint } = options;
  if (options.interested.length > MAX_INTERESTED_PIECES) {
    throw new DfError('invalid-argument', `interested_piece_numbers: more than ${MAX_INTERESTED_PIECES}`);
  }
  const waiting = new Set(options.interested);
  const finished: PieceRecord[] = [];
  let wake = (): void => {};
  const take = (record: PieceRecord): void => {
    if (waiting.delete(record.number)) finished.push(record);
  };
  const stopListening = task.onPieceFinished((record) => {
    take(record);
    wake();
  });
  const stopEnd = task.onEnd(() => {
    wake();
  });
  stream.onCancel(() => {
    wake();
  });
  try {
    for (const number of options.interested) {
      const record = task.piece(number);
      if (record !== undefined) take(record);
    }
    while (!stream.isOver) {
      const record = finished.shift();
      if (record !== undefined) {
        const isWritable = stream.send({
          number: record.number,
          offset: BigInt(record.offsetBytes),
          length: BigInt(record.lengthBytes),
          ip: endpoint.ip,
          tcpPort: endpoint.tcpPort,
        });
        if (!isWritable && (await within(stream.whenWritable(), SEND_TIMEOUT_MS)) === 'late') {
          throw new DfError('unavailable', 'the child does not read');
        }
        continue;
      }
      // What was told of it is not here any more: the child must not ask for it, and get pieces of what comes after it.
      if (task.isDeleted) throw new DfError('failed-precondition', `task ${task.id} was thrown away`);
      if (waiting.size === 0 || task.isComplete || !options.isDownloading()) return;
      const news = Promise.withResolvers<void>();
      wake = news.resolve;
      await within(news.promise, LIFE_CHECK_INTERVAL_MS);
    }
  } finally {
    stopListening();
    stopEnd();
  }
}
