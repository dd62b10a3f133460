import { DfError } from '@dragonfly/errors';
import { originError } from '../origin-error.js';
import type { ByteReceiver, SourceBody } from '../source-backend.js';
import { BodyLengthError, type BodyReader } from './body-reader.js';
import type { SocketReader } from './socket-reader.js';
import { HttpSyntaxError, type ResponseHead } from './response-head.js';

export interface HttpBodyOptions {
  readonly url: URL;
  readonly head: ResponseHead;
  readonly body: BodyReader;
  readonly reader: SocketReader;
  readonly signal: AbortSignal;
  readonly isPartial: boolean;
  readonly contentLengthBytes: number | undefined;
  readonly totalLengthBytes: number | undefined;
  /** Called once, when the connection is not needed any more. */
  readonly release: (reuse: boolean) => void;
}

/** One answer's body; gives its connection back as soon as the last byte is read. */
export class HttpBody implements SourceBody {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly isPartial: boolean;
  readonly contentLengthBytes?: number;
  readonly totalLengthBytes?: number;
  readonly #options: HttpBodyOptions;
  readonly #onAbort = (): void => this.#stop(DfError.from(this.#options.signal.reason, 'cancelled'));
  #isReleased = false;
  #isReading = false;
  /** Why nothing more can be read. */
  #failure: DfError | undefined;

  constructor(options: HttpBodyOptions) {
    this.#options = options;
    this.statusCode = options.head.statusCode;
    this.headers = options.head.headers;
    this.isPartial = options.isPartial;
    this.contentLengthBytes = options.contentLengthBytes;
    this.totalLengthBytes = options.totalLengthBytes;
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (options.body.isOver) this.#release();
    if (options.signal.aborted) this.#onAbort();
  }

  async readInto(buffer: Uint8Array, signal?: AbortSignal): Promise<number> {
    if (buffer.byteLength === 0) throw new DfError('invalid-argument', 'a body is read into at least one byte');
    let bytes = 0;
    await this.#read(signal, async () => {
      bytes = await this.#options.body.readInto(buffer);
    });
    return bytes;
  }

  pour(receiver: ByteReceiver, signal?: AbortSignal): Promise<void> {
    return this.#read(signal, () => this.#options.body.pour(receiver));
  }

  async #read(signal: AbortSignal | undefined, read: () => Promise<void>): Promise<void> {
    this.#throwIfFailed();
    if (this.#isReading) throw new DfError('failed-precondition', 'a body is read by one caller at a time');
    if (this.#options.body.isOver) return;
    const onAbort = (): void => this.#stop(DfError.from(signal?.reason, 'cancelled'));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#isReading = true;
    try {
      await read();
      // Given up meanwhile: nobody wants what came before that.
      this.#throwIfFailed();
      this.#checkLength();
      if (this.#options.body.isOver) this.#release();
    } catch (error) {
      this.#failure ??= this.#errorOf(error);
      this.#release();
      throw this.#failure;
    } finally {
      this.#isReading = false;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A chunked part says its length only in Content-Range; `length` framing checks itself. */
  #checkLength(): void {
    const expected = this.contentLengthBytes;
    const { readBytes, isOver } = this.#options.body;
    if (expected === undefined || readBytes === expected || (readBytes < expected && !isOver)) return;
    throw new BodyLengthError(`the body has ${readBytes} bytes instead of ${expected}`);
  }

  cancel(): void {
    if (!this.#isReleased) this.#stop(new DfError('cancelled', 'the body was given up'));
  }

  #stop(reason: DfError): void {
    if (this.#isReleased) return;
    this.#failure ??= reason;
    this.#options.reader.fail(reason);
    this.#release();
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#options.release(this.#options.body.isCleanlyOver && this.#failure === undefined);
  }

  #errorOf(error: unknown): DfError {
    const { url, head } = this.#options;
    if (error instanceof BodyLengthError || error instanceof HttpSyntaxError) {
      const details = { statusCode: head.statusCode, headers: head.headers, message: error.message };
      const mapped = originError(url, details, error);
      // A body that breaks off is often the network's doing.
      return new DfError('origin', mapped.message, { cause: error, details: mapped.details, retryable: true });
    }
    return DfError.from(error, 'unavailable');
  }
}
