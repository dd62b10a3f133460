import type { PieceKind, PieceMetadata } from './frame.js';

/** Where a server finds the pieces it serves. */
export interface PieceSource {
  /**
   * Finds a piece. One that is being downloaded is waited for, within a bound of the source's own.
   *
   * A throw is told to the child: DfError `invalid-argument` and `not-found` with their own codes, all else as an internal
   * error.
   *
   * @param taskId 64 hex characters, as the child wrote them
   * @param signal fires when the child is gone or the server closes; a search must end then
   */
  open(kind: PieceKind, taskId: string, pieceNumber: number, signal: AbortSignal): Promise<OpenPiece | 'not-found'>;
}

/** A finished piece, ready to be read. */
export interface OpenPiece {
  readonly piece: PieceMetadata;
  /** An open file. Stays the source's: it must remain open until {@link release}. */
  readonly fd: number;
  /** Where the piece begins in the file. */
  readonly fileOffset: number;
  /** Called exactly once, when no read is outstanding. */
  release(): void;
}

/** What the server logs with; a pino logger fits. */
export interface VortexLog {
  debug(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}
