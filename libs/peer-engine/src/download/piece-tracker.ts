import type { PieceSpan } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { originOf, type TrafficOrigin } from './traffic.js';

/** Told about every piece a request asked for, once. */
export type PieceListener = (record: PieceRecord, origin: TrafficOrigin) => void;

/**
 * Watches the store for the pieces of one request: those that are there count as local, those that come are told with
 * where they came from.
 */
export class PieceTracker {
  private readonly seen = new Set<number>();
  private readonly allThere = Promise.withResolvers<void>();
  private readonly unsubscribe: () => void;

  /** @param wanted undefined while the length of the content is unknown: everything */
  constructor(
    private readonly task: StoredTask,
    private readonly wanted: PieceSpan | undefined,
    private readonly listener: PieceListener,
  ) {
    this.unsubscribe = task.onPieceFinished((record) => {
      this.take(record, originOf(record));
    });
    for (const record of task.pieces()) this.take(record, 'local');
    this.check();
  }

  /** Resolves when every piece was told. */
  get completed(): Promise<void> {
    return this.allThere.promise;
  }

  /** Pieces still missing; undefined while the length of the content is unknown. */
  missing(): number[] | undefined {
    if (this.task.contentLengthBytes === undefined) return undefined;
    const missing = this.task.missingPieces();
    return this.wanted === undefined ? missing : missing.filter((number) => this.isWanted(number));
  }

  /** Looks again: the length of the content may have become known without a further piece. */
  check(): boolean {
    const isComplete = this.missing()?.length === 0;
    if (isComplete) this.allThere.resolve();
    return isComplete;
  }

  stop(): void {
    this.unsubscribe();
  }

  private take(record: PieceRecord, origin: TrafficOrigin): void {
    if (!this.isWanted(record.number) || this.seen.has(record.number)) return;
    this.seen.add(record.number);
    this.listener(record, origin);
    const count = this.wanted?.count ?? this.task.pieceCount;
    if (count !== undefined && this.seen.size >= count) this.check();
  }

  private isWanted(number: number): boolean {
    return this.wanted === undefined || (number >= this.wanted.first && number < this.wanted.first + this.wanted.count);
  }
}
