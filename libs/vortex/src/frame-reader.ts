import { FrameError } from './frame-error.js';

/** Reads big-endian fields one after another and never past the end: a field that does not fit is a FrameError. */
export class FrameReader {
  private readonly buffer: Buffer;
  private at = 0;

  /** @param what name of the structure, for error messages */
  constructor(
    bytes: Uint8Array,
    private readonly what: string,
  ) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.buffer.length - this.at;
  }

  u8(): number {
    return this.buffer.readUInt8(this.take(1));
  }

  u32(): number {
    return this.buffer.readUInt32BE(this.take(4));
  }

  /** @throws FrameError `invalid-number` beyond 2^53-1 */
  u64(): number {
    return this.safe(this.buffer.readBigUInt64BE(this.take(8)));
  }

  /** @throws FrameError `invalid-number` beyond ±(2^53-1) */
  i64(): number {
    return this.safe(this.buffer.readBigInt64BE(this.take(8)));
  }

  /** A length field. @throws FrameError `too-long` over the limit, before anything of that length is touched */
  length(maxBytes: number, field: string): number {
    const value = this.u32();
    if (value > maxBytes) {
      throw new FrameError('too-long', `${this.what}: ${field} of ${value} bytes is longer than ${maxBytes}`);
    }
    return value;
  }

  /** The next bytes, as a view. */
  bytes(lengthBytes: number): Buffer {
    const start = this.take(lengthBytes);
    return this.buffer.subarray(start, start + lengthBytes);
  }

  latin1(lengthBytes: number): string {
    return this.bytes(lengthBytes).toString('latin1');
  }

  utf8(lengthBytes: number): string {
    return this.bytes(lengthBytes).toString('utf8');
  }

  /** @throws FrameError `too-long` when bytes are left over */
  end(): void {
    if (this.remaining > 0) throw new FrameError('too-long', `${this.what}: ${this.remaining} bytes too many`);
  }

  private take(lengthBytes: number): number {
    if (lengthBytes > this.remaining) {
      throw new FrameError(
        'too-short',
        `${this.what}: ${lengthBytes} bytes wanted at ${this.at}, ${this.remaining} there`,
      );
    }
    const start = this.at;
    this.at += lengthBytes;
    return start;
  }

  private safe(value: bigint): number {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) {
      throw new FrameError('invalid-number', `${this.what}: ${value} does not fit into 53 bits`);
    }
    return number;
  }
}
