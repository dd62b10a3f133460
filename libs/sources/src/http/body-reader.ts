import type { ByteReceiver } from '../source-backend.js';
import { HttpSyntaxError, type BodyFraming } from './response-head.js';
import type { SocketReader } from './socket-reader.js';

/** A chunk-size line with its extensions, which are skipped. */
const MAX_CHUNK_LINE_BYTES = 4 << 10;
/** All trailer lines together; they are skipped too. */
const MAX_TRAILER_BYTES = 16 << 10;
const CRLF = Buffer.from('\r\n');

/** The body is shorter (or, for a chunked part, longer) than announced. */
export class BodyLengthError extends Error {
  override readonly name = 'BodyLengthError';
}

/** Finds the end of a body and takes its framing off. */
export class BodyReader {
  readonly #reader: SocketReader;
  readonly #kind: BodyFraming['kind'];
  /** Of the body (`length`) or of the chunk being read (`chunked`). */
  #remainingBytes: number;
  #isOver: boolean;
  #isFirstChunk = true;
  #readBytes = 0;
  /** Bytes that the present call has put into its target. */
  #callBytes = 0;
  /** Met after bytes that are good; they are handed out first. */
  #failure: Error | undefined;

  constructor(reader: SocketReader, framing: BodyFraming) {
    this.#reader = reader;
    this.#kind = framing.kind;
    this.#remainingBytes = framing.kind === 'length' ? framing.lengthBytes : 0;
    this.#isOver = framing.kind === 'none';
  }

  /** Bytes of the body that were handed out. */
  get readBytes(): number {
    return this.#readBytes;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The connection is exactly behind the body: it may carry another request. */
  get isCleanlyOver(): boolean {
    return this.#isOver && this.#kind !== 'until-close';
  }

  /**
   * @returns bytes put into `target`; fewer than its length only at the end of the body, or before a failure, which the
   *   next call throws
   */
  async readInto(target: Uint8Array): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isOver) return 0;
    this.#callBytes = 0;
    try {
      await this.#read(target);
    } catch (error) {
      if (this.#callBytes === 0) throw error;
      this.#failure = Error.isError(error) ? error : new Error(String(error));
    }
    return this.#callBytes;
  }

  /** Hands the body out until `receiver` wants no more or the body is over; see `SourceBody.pour`. */
  async pour(receiver: ByteReceiver): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#kind === 'length') {
      await this.#pourCounted(receiver);
      return;
    }
    while (!this.#isOver) {
      const buffer = receiver.nextBuffer();
      if (buffer === undefined) return;
      if (ArrayBuffer.isView(buffer)) {
        const bytes = await this.readInto(buffer);
        if (bytes > 0) receiver.received(bytes);
      } else {
        await buffer;
      }
    }
  }

  async #pourCounted(receiver: ByteReceiver): Promise<void> {
    const counted: ByteReceiver = {
      nextBuffer: () => receiver.nextBuffer(),
      received: (bytes) => {
        this.#remainingBytes -= bytes;
        this.#readBytes += bytes;
        receiver.received(bytes);
      },
    };
    const isServed = await this.#reader.pour(counted, this.#remainingBytes);
    if (this.#remainingBytes === 0) this.#isOver = true;
    else if (!isServed) throw this.#endedEarly();
  }

  #read(target: Uint8Array): Promise<void> {
    switch (this.#kind) {
      case 'none':
        return Promise.resolve();
      case 'length':
        return this.#readCounted(target);
      case 'chunked':
        return this.#readChunked(target);
      case 'until-close':
        return this.#readUntilClose(target);
    }
  }

  async #readCounted(target: Uint8Array): Promise<void> {
    await this.#fillFrom(target);
    if (this.#remainingBytes === 0) this.#isOver = true;
  }

  async #readChunked(target: Uint8Array): Promise<void> {
    let done = 0;
    while (done < target.byteLength) {
      if (this.#remainingBytes === 0 && !(await this.#beginChunk())) break;
      done += await this.#fillFrom(target.subarray(done));
    }
  }

  async #readUntilClose(target: Uint8Array): Promise<void> {
    while (this.#callBytes < target.byteLength) {
      const bytes = await this.#reader.fill(target.subarray(this.#callBytes));
      if (bytes === 0) {
        this.#isOver = true;
        return;
      }
      this.#count(bytes);
    }
  }

  /** As much of `target` as the body or chunk has left. */
  async #fillFrom(target: Uint8Array): Promise<number> {
    const wanted = Math.min(target.byteLength, this.#remainingBytes);
    for (let done = 0; done < wanted;) {
      const bytes = await this.#reader.fill(target.subarray(done, wanted));
      if (bytes === 0) {
        throw this.#endedEarly();
      }
      done += bytes;
      this.#remainingBytes -= bytes;
      this.#count(bytes);
    }
    return wanted;
  }

  #endedEarly(): BodyLengthError {
    return new BodyLengthError(`the body ended ${this.#remainingBytes} bytes early, after ${this.#readBytes}`);
  }

  #count(bytes: number): void {
    this.#callBytes += bytes;
    this.#readBytes += bytes;
  }

  /** @returns false at the last chunk; the trailer is read then, too */
  async #beginChunk(): Promise<boolean> {
    if (!this.#isFirstChunk && (await this.#line(CRLF.length)) !== '') {
      throw new HttpSyntaxError('no line end after a chunk');
    }
    this.#isFirstChunk = false;
    const line = await this.#line(MAX_CHUNK_LINE_BYTES);
    const size = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw new HttpSyntaxError(`chunk size ${JSON.stringify(line.slice(0, 80))}`);
    this.#remainingBytes = Number.parseInt(size, 16);
    if (this.#remainingBytes > 0) return true;
    let trailerBytes = 0;
    for (
      let trailer = await this.#line(MAX_TRAILER_BYTES);
      trailer !== '';
      trailer = await this.#line(MAX_TRAILER_BYTES)
    ) {
      trailerBytes += trailer.length;
      if (trailerBytes > MAX_TRAILER_BYTES) throw new HttpSyntaxError('the trailer is too long');
    }
    this.#isOver = true;
    return false;
  }

  async #line(maxBytes: number): Promise<string> {
    const line = await this.#reader.readThrough(
      CRLF,
      maxBytes,
      () => new HttpSyntaxError('a line of the chunked body is too long'),
    );
    if (line === undefined) throw new BodyLengthError(`the chunked body ended early, after ${this.#readBytes} bytes`);
    return line.toString('latin1', 0, line.length - CRLF.length);
  }
}
