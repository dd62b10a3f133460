import { crc32Digest } from '@dragonfly/ids';
import type { BufferPool } from './buffer-pool.js';
import { crc32 } from './crc32.js';

/**
 * Takes the bytes of one piece, for instance to its place in a file.
 *
 * The bytes are not verified yet when they are written: what was written counts only once the fetch has resolved.
 */
export interface PieceSink {
  /**
   * Writes a part of the piece. Parts come in ascending order without gaps; the next may come before the last has
   * settled, but never more than {@link MAX_OUTSTANDING_WRITES} are outstanding.
   *
   * @param chunk the sink's until the promise settles, reused for other bytes afterwards
   * @param offsetInPieceBytes where the part begins in the piece
   */
  write(chunk: Buffer, offsetInPieceBytes: number): Promise<void>;
}

/** Writes of one piece that may be outstanding: one part is written while the next is received. */
export const MAX_OUTSTANDING_WRITES = 2;

/**
 * Room for bytes that arrive after reading was stopped for want of a buffer: the socket must be left with some buffer,
 * and it may not be one that is being written to disk.
 */
const OVERFLOW_LENGTH_BYTES = 4096;

/** What the receiver tells its connection. */
export interface PieceReceiverEvents {
  /** A buffer is free again after {@link PieceReceiver.nextBuffer} had none: go on reading. */
  onReadable(): void;
  /** A write failed. */
  onSinkError(error: unknown): void;
}

/**
 * Turns the bytes of one piece, which the socket puts into pooled buffers itself, into writes to a sink and a checksum.
 * Nothing is copied but a few bytes after a stop for want of a buffer.
 *
 * At least one buffer is owned from the start on, a second one is used when the pool has one to spare: therefore a
 * piece always gets on, whatever others hold.
 */
export class PieceReceiver {
  private readonly outstanding = new Set<Promise<void>>();
  private current: Buffer | undefined;
  private filledBytes = 0;
  private writtenBytes = 0;
  private checksum = 0;
  private overflow: Buffer | undefined;
  private isStopped = false;
  private isCancelled = false;

  /**
   * @param first a buffer of the pool, owned by the receiver from now on
   * @param lengthBytes length of the piece, ≥ 1
   */
  constructor(
    private readonly pool: BufferPool,
    first: Buffer,
    private readonly lengthBytes: number,
    private readonly sink: PieceSink,
    private readonly events: PieceReceiverEvents,
  ) {
    this.current = first;
  }

  /** True when all bytes have come (they may not all be written yet). */
  get isComplete(): boolean {
    return this.writtenBytes === this.lengthBytes;
  }

  /** True when reading has to stop until {@link PieceReceiverEvents.onReadable}. */
  get mustStop(): boolean {
    return this.isStopped;
  }

  /** The checksum text of the bytes that have come. */
  get digest(): string {
    return crc32Digest(this.checksum);
  }

  /** Where the next bytes go: never empty while the piece is incomplete, and never longer than what is missing. */
  nextBuffer(): Buffer {
    if (this.current === undefined) {
      const missing = this.lengthBytes - this.writtenBytes;
      this.overflow = Buffer.allocUnsafe(Math.min(OVERFLOW_LENGTH_BYTES, missing));
      return this.overflow;
    }
    return this.current.subarray(this.filledBytes, this.partLengthBytes);
  }

  /** Takes note of bytes that were put into the buffer that {@link nextBuffer} gave last. */
  received(bytes: number): void {
    if (this.current === undefined) throw new Error('bytes arrived while no buffer was free');
    if (this.overflow !== undefined) {
      this.overflow.copy(this.current, 0, 0, bytes);
      this.overflow = undefined;
    }
    this.filledBytes += bytes;
    if (this.filledBytes < this.partLengthBytes) return;

    const part = this.current;
    const lengthBytes = this.filledBytes;
    this.current = undefined;
    this.filledBytes = 0;
    this.checksum = crc32(part.subarray(0, lengthBytes), this.checksum);
    this.write(part, lengthBytes, this.writtenBytes);
    this.writtenBytes += lengthBytes;
    if (this.writtenBytes === this.lengthBytes) return;
    if (this.outstanding.size < MAX_OUTSTANDING_WRITES) this.current = this.pool.tryAcquire();
    this.isStopped = this.current === undefined;
  }

  /** Waits until no write is outstanding; afterwards all buffers are back in the pool if the piece is complete. */
  async settled(): Promise<void> {
    while (this.outstanding.size > 0) await Promise.all(this.outstanding);
  }

  /**
   * Gives up: no more writes. To be called when the socket is closed, so that nothing is put into the buffer any more.
   * The promise resolves when all buffers are back in the pool.
   */
  async cancel(): Promise<void> {
    this.isCancelled = true;
    if (this.current !== undefined) this.pool.release(this.current);
    this.current = undefined;
    await this.settled();
  }

  /** Length of the part that `current` is to hold. */
  private get partLengthBytes(): number {
    return Math.min(this.pool.bufferBytes, this.lengthBytes - this.writtenBytes);
  }

  private write(part: Buffer, lengthBytes: number, offsetBytes: number): void {
    const writing = this.writeAndReuse(part, part.subarray(0, lengthBytes), offsetBytes).finally(() =>
      this.outstanding.delete(writing),
    );
    this.outstanding.add(writing);
  }

  /** Never rejects. */
  private async writeAndReuse(buffer: Buffer, part: Buffer, offsetBytes: number): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.sink.write(part, offsetBytes);
    } catch (error) {
      failure = { error };
    }
    if (failure === undefined && this.isStopped && !this.isCancelled) {
      this.current = buffer;
      this.isStopped = false;
      this.events.onReadable();
      return;
    }
    this.pool.release(buffer);
    if (failure !== undefined && !this.isCancelled) this.events.onSinkError(failure.error);
  }
}
