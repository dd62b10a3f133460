import type { PieceRecord, PieceWriter } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { SourceBody } from '@dragonfly/sources';
import { crc32, type BufferPool } from '@dragonfly/vortex';

/**
 * What a pump reads into when the pool has nothing: small, because there may be one for each connection. Waiting for a
 * buffer would let a few origins that trickle, and hold theirs, stop all the others.
 */
const SPARE_BUFFER_BYTES = 64 * 1024;

/**
 * Moves the bytes of one piece from a source's body to its place in the store, with their checksum. Reading the next
 * buffer overlaps with writing the last; at most two buffers are held.
 *
 * A pump outlives a body: when the connection breaks in the middle, it goes on with the next body where it stopped.
 */
export class PiecePump {
  private checksum = 0;
  private movedBytes = 0;
  private spare: Buffer | undefined;
  private readonly startedAtMs = performance.now();

  constructor(
    private readonly writer: PieceWriter,
    private readonly pool: BufferPool,
  ) {}

  /** Bytes that are in the store. */
  get receivedBytes(): number {
    return this.movedBytes;
  }

  /**
   * Reads until `untilBytes` bytes of the piece are there or the body ends.
   * @throws DfError of the body or the store; what was moved before stays moved
   */
  async move(body: SourceBody, untilBytes: number, signal: AbortSignal): Promise<void> {
    let writing: Promise<void> = Promise.resolve();
    try {
      while (this.movedBytes < untilBytes) {
        const lent = this.pool.tryAcquire();
        // There is one spare buffer, and it may be what is being written.
        if (lent === undefined) await writing;
        const buffer = lent ?? (this.spare ??= Buffer.allocUnsafeSlow(SPARE_BUFFER_BYTES));
        let isHandedOver = false;
        try {
          const wanted = Math.min(buffer.length, untilBytes - this.movedBytes);
          const count = await body.readInto(buffer.subarray(0, wanted), signal);
          await writing;
          if (count === 0) return;
          const part = buffer.subarray(0, count);
          this.checksum = crc32(part, this.checksum);
          isHandedOver = true;
          writing = this.write(buffer, part, this.movedBytes);
          // Awaited in the next round; until then a failure must not count as unhandled.
          writing.catch(() => {});
          this.movedBytes += count;
        } finally {
          if (!isHandedOver) this.giveBack(buffer);
        }
      }
    } finally {
      await writing;
    }
  }

  /** Makes the piece count. */
  async commit(): Promise<PieceRecord> {
    return this.writer.commit({
      lengthBytes: this.movedBytes,
      crc32: this.checksum,
      trafficType: commonV2.TrafficType.BACK_TO_SOURCE,
      costMs: performance.now() - this.startedAtMs,
    });
  }

  abort(): void {
    this.writer.abort();
  }

  private async write(buffer: Buffer, part: Buffer, offset: number): Promise<void> {
    try {
      await this.writer.write(part, offset);
    } finally {
      this.giveBack(buffer);
    }
  }

  private giveBack(buffer: Buffer): void {
    if (buffer !== this.spare) this.pool.release(buffer);
  }
}
