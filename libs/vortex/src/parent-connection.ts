import { connect, type Socket } from 'node:net';
import { DfError } from '@dragonfly/errors';
import { checkMetadata, errorOfAnswer } from './answer-check.js';
import { type Exchange, ExchangeFailure, type ExchangeResult } from './exchange.js';
import { FrameError } from './frame-error.js';
import {
  contentTag,
  decodeErrorValue,
  decodeFrameHeader,
  decodePieceContentValue,
  ERROR_TAG,
  FRAME_HEADER_LENGTH_BYTES,
  MAX_ANSWER_VALUE_LENGTH_BYTES,
  type PieceMetadata,
} from './frame.js';
import { PieceReceiver } from './piece-receiver.js';

/** TCP keep-alive probes start after this much silence, as in Dragonfly's client. */
const KEEP_ALIVE_DELAY_MS = 5_000;

/** What is read next. */
type Phase = 'idle' | 'header' | 'value' | 'content';

/** State of the exchange that is going on. */
interface Running {
  readonly exchange: Exchange;
  readonly resolve: (result: ExchangeResult) => void;
  readonly reject: (failure: ExchangeFailure) => void;
  readonly onAbort: () => void;
  /** Runs from the request to the metadata, then from there to the last byte. */
  timer: NodeJS.Timeout;
  stallTimer: NodeJS.Timeout | undefined;
  hasAnswerBytes: boolean;
  metadata: PieceMetadata | undefined;
  receiver: PieceReceiver | undefined;
  sinkFailure: { readonly error: unknown } | undefined;
}

/**
 * One TCP connection to a parent, on which pieces are asked for one after another.
 *
 * The socket reads straight into the buffer that is wanted next, and each buffer is exactly as long as what is still
 * missing: header, then value, then parts of the piece. So no byte of the piece is copied, and none is read that belongs
 * to the next answer.
 */
export class ParentConnection {
  /** Called once when the connection is gone, whatever the reason. */
  onClosed: () => void = () => undefined;

  private readonly address: string;
  private readonly socket: Socket;
  /** Header and value of an answer. */
  private readonly head = Buffer.allocUnsafeSlow(FRAME_HEADER_LENGTH_BYTES + MAX_ANSWER_VALUE_LENGTH_BYTES);
  private readonly closed: Promise<void>;
  private phase: Phase = 'idle';
  /** Where the next bytes go. Never empty: the socket would fail with ENOBUFS. */
  private target: Buffer;
  private running: Running | undefined;
  private socketError: Error | undefined;

  private constructor(host: string, port: number) {
    this.address = `${host}:${port}`;
    this.target = this.head.subarray(0, FRAME_HEADER_LENGTH_BYTES);
    this.socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      onread: { buffer: () => this.target, callback: (bytes) => this.onRead(bytes) },
    });
    this.socket.on('error', (error) => {
      this.socketError = error;
    });
    // A parent that ends its side answers no more: there is nothing to wait for.
    this.socket.on('end', () => this.destroy());
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve();
        this.onClosed();
        this.abandon(this.connectionError('closed the connection before the piece was complete'));
      });
    });
  }

  /**
   * Opens a connection.
   *
   * @throws DfError `unavailable`, `deadline-exceeded` (connect timeout) or `cancelled`
   */
  static open(host: string, port: number, connectTimeoutMs: number, signal?: AbortSignal): Promise<ParentConnection> {
    if (signal?.aborted === true) return Promise.reject(cancelled(signal));
    const connection = new ParentConnection(host, port);
    return new Promise((resolve, reject) => {
      let failure: DfError | undefined;
      const giveUp = (error: DfError): void => {
        failure = error;
        connection.destroy();
      };
      const onAbort = (): void => giveUp(cancelled(signal));
      const timer = setTimeout(() => {
        giveUp(
          new DfError('deadline-exceeded', `parent ${connection.address} took no connection in ${connectTimeoutMs} ms`),
        );
      }, connectTimeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      connection.socket.once('connect', () => {
        settle();
        resolve(connection);
      });
      void connection.closed.then(() => {
        settle();
        reject(failure ?? connection.connectionError('cannot be connected'));
      });
    });
  }

  /** True while a request may be sent: connected, nothing going on, no stray byte and no end seen. */
  get isUsable(): boolean {
    return !this.socket.destroyed && this.phase === 'idle';
  }

  /** Whether the connection keeps the process alive. Idle ones should not. */
  setKeepsProcessAlive(keeps: boolean): void {
    if (keeps) this.socket.ref();
    else this.socket.unref();
  }

  /** Closes at once; a running exchange fails. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Resolves when the socket is closed. */
  whenClosed(): Promise<void> {
    return this.closed;
  }

  /**
   * Asks for a piece and receives it. When the promise resolves, all bytes are written and agree with the parent's
   * checksum (or the parent sent none).
   *
   * @throws ExchangeFailure, when no write is outstanding any more and all buffers are back in the pool
   */
  exchange(exchange: Exchange): Promise<ExchangeResult> {
    if (!this.isUsable) {
      exchange.pool.release(exchange.firstBuffer);
      return Promise.reject(new ExchangeFailure(this.connectionError('closed the idle connection'), true));
    }
    return new Promise((resolve, reject) => {
      const { signal } = exchange;
      const onAbort = (): void => this.abandon(cancelled(signal));
      this.running = {
        exchange,
        resolve,
        reject,
        onAbort,
        timer: this.deadline(exchange.timeouts.answerTimeoutMs, 'did not answer'),
        stallTimer: undefined,
        hasAnswerBytes: false,
        metadata: undefined,
        receiver: undefined,
        sinkFailure: undefined,
      };
      this.phase = 'header';
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
      else this.socket.write(exchange.request);
    });
  }

  /** Called by the socket when bytes are in `target`. Returning false stops reading. */
  private onRead(bytes: number): boolean {
    try {
      return this.advance(bytes);
    } catch (error) {
      this.abandon(
        error instanceof FrameError
          ? new DfError('data-loss', `parent ${this.address} sent a malformed answer: ${error.message}`, {
              cause: error,
            })
          : error,
      );
      return false;
    }
  }

  private advance(bytes: number): boolean {
    const { running } = this;
    if (running === undefined) {
      // Bytes that nobody asked for: the connection is out of step.
      this.destroy();
      return false;
    }
    running.hasAnswerBytes = true;
    if (running.receiver !== undefined) return this.advanceContent(running, running.receiver, bytes);
    this.target = this.target.subarray(bytes);
    if (this.target.length > 0) return true;
    if (this.phase === 'header') this.takeHeader();
    else this.takeValue(running);
    return true;
  }

  private takeHeader(): void {
    const { tag, valueLengthBytes } = decodeFrameHeader(this.head);
    if (valueLengthBytes > MAX_ANSWER_VALUE_LENGTH_BYTES) {
      throw new FrameError('too-long', `a value of ${valueLengthBytes} bytes with tag ${tag}`);
    }
    if (valueLengthBytes === 0) throw new FrameError('too-short', `an empty value with tag ${tag}`);
    this.phase = 'value';
    this.target = this.head.subarray(FRAME_HEADER_LENGTH_BYTES, FRAME_HEADER_LENGTH_BYTES + valueLengthBytes);
  }

  private takeValue(running: Running): void {
    const { tag, valueLengthBytes } = decodeFrameHeader(this.head);
    const value = this.head.subarray(FRAME_HEADER_LENGTH_BYTES, FRAME_HEADER_LENGTH_BYTES + valueLengthBytes);
    const { exchange } = running;
    if (tag === ERROR_TAG) {
      const error = errorOfAnswer(this.address, decodeErrorValue(value));
      this.finish(running);
      exchange.pool.release(exchange.firstBuffer);
      running.reject(new ExchangeFailure(error, false));
      return;
    }
    if (tag !== contentTag(exchange.expectation.kind)) throw new FrameError('unexpected-tag', `tag ${tag}`);
    running.metadata = decodePieceContentValue(value);
    checkMetadata(this.address, running.metadata, exchange.expectation);

    clearTimeout(running.timer);
    running.timer = this.deadline(exchange.timeouts.contentTimeoutMs, 'did not send the piece to its end');
    running.stallTimer = this.stallDeadline(running);
    running.receiver = new PieceReceiver(
      exchange.pool,
      exchange.firstBuffer,
      exchange.expectation.lengthBytes,
      exchange.sink,
      {
        onReadable: () => {
          running.stallTimer?.refresh();
          this.socket.resume();
        },
        onSinkError: (error) => {
          running.sinkFailure ??= { error };
          if (this.running === running) this.abandon(error);
        },
      },
    );
    this.phase = 'content';
    this.target = running.receiver.nextBuffer();
  }

  private advanceContent(running: Running, receiver: PieceReceiver, bytes: number): boolean {
    receiver.received(bytes);
    running.exchange.onBytes?.();
    if (receiver.isComplete) {
      this.finish(running);
      void this.settle(running, receiver);
      return true;
    }
    running.stallTimer?.refresh();
    this.target = receiver.nextBuffer();
    return !receiver.mustStop;
  }

  /** The last byte of an answer has come: the connection is free. */
  private finish(running: Running): void {
    this.forget(running);
    this.phase = 'idle';
    this.target = this.head.subarray(0, FRAME_HEADER_LENGTH_BYTES);
    running.exchange.onConnectionFree();
  }

  /** Ends a piece that was received whole: last writes, checksum. Never rejects. */
  private async settle(running: Running, receiver: PieceReceiver): Promise<void> {
    await receiver.settled();
    const { metadata, sinkFailure } = running;
    if (sinkFailure !== undefined) {
      running.reject(new ExchangeFailure(sinkFailure.error, false));
    } else if (metadata === undefined) {
      running.reject(new ExchangeFailure(new DfError('internal', 'a piece came without metadata'), false));
    } else if (metadata.digest !== '' && metadata.digest !== receiver.digest) {
      const message = `piece ${metadata.number} from parent ${this.address} has checksum ${receiver.digest}, not ${metadata.digest}`;
      running.reject(new ExchangeFailure(new DfError('data-loss', message, { retryable: true }), false));
    } else {
      running.resolve({ metadata, digest: receiver.digest });
    }
  }

  /** Closes the connection and fails the exchange that runs on it, if any. */
  private abandon(error: unknown): void {
    const { running } = this;
    if (running === undefined) {
      this.destroy();
      return;
    }
    // A reset, not an end: a parent takes the end of our requests for that of a child which still wants its answer, and
    // would spend its upload limit on it.
    if (!this.socket.destroyed) this.socket.resetAndDestroy();
    this.forget(running);
    void this.rejectWhenQuiet(running, error);
  }

  /** Rejects when neither the socket nor the sink touches a buffer any more. Never rejects itself. */
  private async rejectWhenQuiet(running: Running, error: unknown): Promise<void> {
    await this.closed;
    if (running.receiver === undefined) running.exchange.pool.release(running.exchange.firstBuffer);
    else await running.receiver.cancel();
    running.reject(new ExchangeFailure(error, !running.hasAnswerBytes));
  }

  private forget(running: Running): void {
    this.running = undefined;
    clearTimeout(running.timer);
    clearTimeout(running.stallTimer);
    running.exchange.signal?.removeEventListener('abort', running.onAbort);
  }

  private deadline(timeoutMs: number, what: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.abandon(new DfError('deadline-exceeded', `parent ${this.address} ${what} in ${timeoutMs} ms`));
    }, timeoutMs);
  }

  private stallDeadline(running: Running): NodeJS.Timeout {
    const { stallTimeoutMs } = running.exchange.timeouts;
    const timer = setTimeout(() => {
      // While reading is stopped the wait is ours, not the parent's; the content timeout still bounds it.
      if (running.receiver?.mustStop === true) timer.refresh();
      else {
        this.abandon(new DfError('deadline-exceeded', `parent ${this.address} sent nothing for ${stallTimeoutMs} ms`));
      }
    }, stallTimeoutMs);
    return timer;
  }

  private connectionError(what: string): DfError {
    return new DfError('unavailable', `parent ${this.address} ${what}`, { cause: this.socketError });
  }
}

function cancelled(signal: AbortSignal | undefined): DfError {
  return new DfError('cancelled', 'the piece is not wanted any more', { cause: signal?.reason });
}
