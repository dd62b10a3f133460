import { DfError } from '@dragonfly/errors';
import type { PieceRecord } from './task-types.js';
import { abortable } from './waiting.js';

export type TaskEnd = 'complete' | 'failed' | 'deleted';

interface Waiter {
  readonly resolve: (piece: PieceRecord) => void;
  readonly reject: (error: unknown) => void;
}

/** Who wants to hear what about one task. Holds no state of the task itself. */
export class PieceEvents {
  readonly #waiters = new Map<number, Set<Waiter>>();
  readonly #pieceListeners = new Set<(piece: PieceRecord) => void>();
  readonly #endListeners = new Set<(end: TaskEnd) => void>();

  wait(number: number, signal: AbortSignal | undefined): Promise<PieceRecord> {
    return abortable(signal, (resolve, reject) => {
      const waiter: Waiter = { resolve, reject };
      const waiters = this.#waiters.get(number) ?? new Set();
      this.#waiters.set(number, waiters.add(waiter));
      return () => {
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(number) === waiters) this.#waiters.delete(number);
      };
    });
  }

  onPieceFinished(listener: (piece: PieceRecord) => void): () => void {
    this.#pieceListeners.add(listener);
    return () => this.#pieceListeners.delete(listener);
  }

  onEnd(listener: (end: TaskEnd) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  pieceFinished(piece: PieceRecord): void {
    for (const waiter of this.#take(piece.number)) waiter.resolve(piece);
    for (const listener of [...this.#pieceListeners]) listener(piece);
  }

  pieceGivenUp(number: number, error: DfError): void {
    for (const waiter of this.#take(number)) waiter.reject(error);
  }

  ended(end: TaskEnd, error: DfError): void {
    this.rejectAll(error);
    for (const listener of [...this.#endListeners]) listener(end);
  }

  rejectAll(error: DfError): void {
    for (const number of [...this.#waiters.keys()]) this.pieceGivenUp(number, error);
  }

  #take(number: number): Iterable<Waiter> {
    const waiters = this.#waiters.get(number);
    this.#waiters.delete(number);
    return waiters === undefined ? [] : [...waiters];
  }
}
