import type { BufferPool } from './buffer-pool.js';
import type { PieceKind, PieceMetadata } from './frame.js';
import type { PieceSink } from './piece-receiver.js';

/** What an answer must say to be accepted. */
export interface PieceExpectation {
  readonly kind: PieceKind;
  readonly pieceNumber: number;
  readonly lengthBytes: number;
  readonly offsetBytes?: number | undefined;
  readonly digest?: string | undefined;
}

/** One request on a connection. */
export interface Exchange {
  /** The whole request frame. */
  readonly request: Buffer;
  readonly expectation: PieceExpectation;
  readonly sink: PieceSink;
  readonly pool: BufferPool;
  /** A buffer of the pool; the connection owns it from now on. */
  readonly firstBuffer: Buffer;
  readonly timeouts: ExchangeTimeouts;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the answer have come. Must not throw. */
  readonly onBytes?: (() => void) | undefined;
  /** Called when the connection may take the next request, which is before the last writes to the sink have settled. */
  readonly onConnectionFree: () => void;
}

/** Bounds of one request. */
export interface ExchangeTimeouts {
  /** From the request to the end of the metadata. */
  readonly answerTimeoutMs: number;
  /** From the metadata to the last byte of the piece. */
  readonly contentTimeoutMs: number;
  /** Longest time without a byte of the piece, while we are ready to take one. */
  readonly stallTimeoutMs: number;
}

/** A piece that was received whole. */
export interface ExchangeResult {
  readonly metadata: PieceMetadata;
  /** `crc32:<decimal>` of the received bytes. */
  readonly digest: string;
}

/** A failed exchange. */
export class ExchangeFailure extends Error {
  override readonly name = 'ExchangeFailure';

  /**
   * @param isBeforeAnswer true when the connection broke before any byte of the answer: on a pooled connection that
   * means it was closed while idle, and the request may be repeated on a new one
   */
  constructor(
    override readonly cause: unknown,
    readonly isBeforeAnswer: boolean,
  ) {
    super('piece exchange failed', { cause });
  }
}
