import type { PieceRecord, PieceWriter } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { ByteReceiver, SourceBody } from '@dragonfly/sources';
import { crc32, type BufferPool } from '@dragonfly/vortex';

/**
 * What a pump reads into when the pool has nothing: small, because there may be one for each connection. Waiting for a
 * buffer would let a few origins that trickle, and hold theirs, stop all the others.
 */
const SPARE_BUFFER_BYTES = 64 * 1024;
/** One is filled while the other is written. */
const MAX_BUFFERS = 2;

/**
 * Moves the bytes of one piece from a source's body to its place in the store, with their checksum. Reading the next
 * buffer overlaps with writing the last; at most two buffers are held, and between them the socket is not stopped.
 *
 * A pump outlives a body: when the connection breaks in the middle, it goes on with the next body where it stopped.
 */
export class PiecePump {
  private checksum = 0;
  private storedBytes = 0;
  private spare: Buffer | undefined;
  private isSpareFree = true;
  private readonly startedAtMs = performance.now();

  constructor(
    private readonly writer: PieceWriter,
    private readonly pool: BufferPool,
  ) {}

  /** Bytes that are in the store. */
  get receivedBytes(): number {
    return this.storedBytes;
  }

  /**
   * Reads until `untilBytes` bytes of the piece are there or the body ends.
   * @throws DfError of the body or the store; what was moved before stays moved
   */
  async move(body: SourceBody, untilBytes: number, signal: AbortSignal): Promise<void> {
    const filling = new Filling(this.storedBytes, untilBytes, {
      lend: () => this.lend(),
      giveBack: (buffer) => {
        this.giveBack(buffer);
      },
      write: (part, offset) => {
        this.checksum = crc32(part, this.checksum);
        this.storedBytes = offset + part.length;
        return this.writer.write(part, offset);
      },
    });
    try {
      await body.pour(filling, signal);
    } finally {
      await filling.end();
    }
  }

  /** Makes the piece count. */
  async commit(): Promise<PieceRecord> {
    return this.writer.commit({
      lengthBytes: this.storedBytes,
      crc32: this.checksum,
      trafficType: commonV2.TrafficType.BACK_TO_SOURCE,
      costMs: performance.now() - this.startedAtMs,
    });
  }

  abort(): void {
    this.writer.abort();
  }

  /** @returns undefined while the pool has nothing and the spare is in use */
  private lend(): Buffer | undefined {
    const lent = this.pool.tryAcquire();
    if (lent !== undefined || !this.isSpareFree) return lent;
    this.isSpareFree = false;
    return (this.spare ??= Buffer.allocUnsafeSlow(SPARE_BUFFER_BYTES));
  }

  private giveBack(buffer: Buffer): void {
    if (buffer === this.spare) this.isSpareFree = true;
    else this.pool.release(buffer);
  }
}

interface Owner {
  lend(): Buffer | undefined;
  giveBack(buffer: Buffer): void;
  /** Parts come in their order. */
  write(part: Buffer, offset: number): Promise<void>;
}

/** The bytes of one body on their way into the store, buffer by buffer. */
class Filling implements ByteReceiver {
  private current: Buffer | undefined;
  private filledBytes = 0;
  /** The oldest first, which is the one that ends first. */
  private readonly writing: Promise<void>[] = [];
  private failure: { readonly error: unknown } | undefined;

  /** @param receivedBytes of the piece, by now */
  constructor(
    private receivedBytes: number,
    private readonly untilBytes: number,
    private readonly owner: Owner,
  ) {}

  nextBuffer(): Uint8Array | Promise<void> | undefined {
    if (this.failure !== undefined) throw this.failure.error;
    const missing = this.untilBytes - this.receivedBytes;
    if (missing === 0) return undefined;
    if (this.current === undefined) {
      const [oldest] = this.writing;
      this.current = this.writing.length < MAX_BUFFERS ? this.owner.lend() : undefined;
      // Without a write there is at least the spare buffer.
      if (this.current === undefined) return oldest;
    }
    return this.current.subarray(this.filledBytes, this.filledBytes + missing);
  }

  received(bytes: number): void {
    this.filledBytes += bytes;
    this.receivedBytes += bytes;
    if (this.filledBytes === this.current?.length || this.receivedBytes === this.untilBytes) this.flush();
  }

  /** Resolves when all that was received is in the store. @throws DfError of the store */
  async end(): Promise<void> {
    if (this.failure === undefined) this.flush();
    else if (this.current !== undefined) this.owner.giveBack(this.current);
    this.current = undefined;
    await Promise.all(this.writing);
    if (this.failure !== undefined) throw this.failure.error;
  }

  private flush(): void {
    const { current, filledBytes } = this;
    if (current === undefined) return;
    this.current = undefined;
    this.filledBytes = 0;
    if (filledBytes === 0) {
      this.owner.giveBack(current);
      return;
    }
    this.writing.push(this.write(current, current.subarray(0, filledBytes), this.receivedBytes - filledBytes));
  }

  /** Never rejects. */
  private async write(buffer: Buffer, part: Buffer, offset: number): Promise<void> {
    try {
      await this.owner.write(part, offset);
    } catch (error) {
      this.failure ??= { error };
    } finally {
      void this.writing.shift();
      this.owner.giveBack(buffer);
    }
  }
}
