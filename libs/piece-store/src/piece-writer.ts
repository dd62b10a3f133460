import { DfError } from '@dragonfly/errors';
import type { DescriptorCache, DescriptorLease } from './descriptor-cache.js';
import { writeFully } from './file-io.js';
import type { PieceCommit, PieceRecord } from './task-types.js';
import type { WriteTurns } from './write-turns.js';

/** What a writer needs of its task. */
export interface PieceWriterHost {
  readonly contentPath: string;
  readonly descriptors: DescriptorCache;
  /** Of the content file, shared by all its writers. */
  readonly turns: WriteTurns;
  /** @throws DfError when the task takes no bytes any more */
  ensureWritable(): void;
  /** Journals the piece; resolves when it may be served. */
  finishPiece(number: number, commit: PieceCommit): Promise<PieceRecord>;
  /** The piece is free for another writer. */
  releasePiece(number: number): void;
}

export interface PieceWriterOptions {
  readonly host: PieceWriterHost;
  readonly number: number;
  readonly fileOffset: number;
  /** Most bytes the piece can have; exactly its length when the content length is known. */
  readonly maxLengthBytes: number;
}

/**
 * The right to write one piece. Ends with `commit` or `abort`; a failed `commit` has aborted.
 *
 * Nothing is visible to readers before `commit` resolves, and the content is written before the journal says so.
 */
export class PieceWriter {
  readonly number: number;
  readonly maxLengthBytes: number;
  readonly #host: PieceWriterHost;
  readonly #fileOffset: number;
  #writtenBytes = 0;
  #writesInFlight = 0;
  #lease: Promise<DescriptorLease> | undefined;
  #state: 'open' | 'committing' | 'ended' = 'open';

  constructor(options: PieceWriterOptions) {
    this.#host = options.host;
    this.number = options.number;
    this.maxLengthBytes = options.maxLengthBytes;
    this.#fileOffset = options.fileOffset;
  }

  /**
   * Writes bytes of the piece; parts may come in any order and at the same time, each byte once.
   * @param buffer may be used again as soon as the promise is settled
   * @throws DfError `invalid-argument` outside the piece, `no-space` on a full disk, `cancelled` after `abort`
   */
  async write(buffer: Uint8Array, offsetInPiece: number): Promise<void> {
    this.#ensureOpen();
    if (offsetInPiece < 0 || offsetInPiece + buffer.byteLength > this.maxLengthBytes) {
      throw new DfError(
        'invalid-argument',
        `piece ${this.number}: ${buffer.byteLength} bytes at ${offsetInPiece} do not fit into ${this.maxLengthBytes}`,
      );
    }
    this.#writesInFlight += 1;
    try {
      this.#lease ??= this.#host.descriptors.acquire(this.#host.contentPath);
      const { fd } = await this.#lease;
      const position = this.#fileOffset + offsetInPiece;
      await this.#host.turns.take(position, () => writeFully(fd, buffer, position));
      this.#writtenBytes += buffer.byteLength;
    } catch (error) {
      throw DfError.from(error);
    } finally {
      this.#writesInFlight -= 1;
      this.#settle();
    }
    this.#ensureOpen();
  }

  /**
   * Makes the piece present: journalled, visible to readers and waiters.
   * @throws DfError `failed-precondition` when not exactly `lengthBytes` bytes were written, `no-space` when the journal
   *   cannot grow; the piece is then absent and free for another writer
   */
  async commit(commit: PieceCommit): Promise<PieceRecord> {
    this.#ensureOpen();
    this.#state = 'committing';
    try {
      if (this.#writesInFlight > 0 || this.#writtenBytes !== commit.lengthBytes) {
        throw new DfError(
          'failed-precondition',
          `piece ${this.number}: ${this.#writtenBytes} bytes are written, ${commit.lengthBytes} are to be committed`,
        );
      }
      return await this.#host.finishPiece(this.number, commit);
    } finally {
      this.#state = 'ended';
      this.#settle();
    }
  }

  /**
   * Gives the piece up; bytes written so far are ignored and overwritten by the next writer. The piece is free once
   * writes still under way have ended. Does nothing after `commit`.
   */
  abort(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.#settle();
  }

  #ensureOpen(): void {
    if (this.#state !== 'open') throw new DfError('cancelled', `the writer of piece ${this.number} has ended`);
    this.#host.ensureWritable();
  }

  #settle(): void {
    if (this.#state !== 'ended' || this.#writesInFlight > 0) return;
    const lease = this.#lease;
    this.#lease = undefined;
    // An acquire that failed has nothing to give back, and its error went to `write`.
    void lease?.then(
      (held) => held.release(),
      () => undefined,
    );
    this.#host.releasePiece(this.number);
  }
}
