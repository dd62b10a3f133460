import { Metadata, type ServerDuplexStream, type ServerWritableStream, type status as Status } from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import type { RpcLog } from './log.js';
import { type CallStatus, callStatus, statusOfError } from './status.js';

/** The sending half of a streaming call, seen from the server. */
export interface ServerStream<Res> {
  /** Address of the caller; 'unknown' over a unix socket. */
  readonly peer: string;
  readonly metadata: Metadata;
  /** Aborted when the caller is gone, not when the call ends normally. */
  readonly signal: AbortSignal;
  /** Whether the call has ended, in whatever way; sending is pointless then. */
  readonly isOver: boolean;
  /**
   * Sends a message; dropped when the call is over.
   * @returns false when the caller reads more slowly than we send: wait for `whenWritable` before the next one
   */
  send(message: DeepPartial<Res>): boolean;
  /** Resolves when there is room again, or the call is over. */
  whenWritable(): Promise<void>;
  /** `send`, then `whenWritable` if need be. */
  sendWhenWritable(message: DeepPartial<Res>): Promise<void>;
  /** Ends the call with OK after what was sent. */
  end(): void;
  /** Ends the call with a status; `detailsBytes` go into `grpc-status-details-bin`. */
  fail(status: Status, message: string, detailsBytes?: Uint8Array): void;
  /** Ends the call with the status for something caught; see `statusOfError`. */
  failWith(error: unknown, log: RpcLog): void;
  /** The caller cancelled, vanished, or sent something invalid. Not called after `end` or `fail`. One listener. */
  onCancel(listener: () => void): void;
}

/** A bidirectional call seen from the server. Listeners are installed in the turn the call arrives; one of each. */
export interface StreamCall<Req, Res> extends ServerStream<Res> {
  onMessage(listener: (message: Req) => void): void;
  /** The caller half-closed: it sends no more but still listens. Not called for a cancelled call. */
  onEnd(listener: () => void): void;
  /** Stops taking messages; HTTP/2 flow control then holds the caller back. */
  pause(): void;
  resume(): void;
}

/** What the sending halves of grpc-js's two kinds of calls have in common. */
interface SendingCall {
  readonly metadata: Metadata;
  readonly writableNeedDrain: boolean;
  getPeer(): string;
  getPath(): string;
  sendMetadata(metadata: Metadata): void;
  write(message: unknown): boolean;
  end(): unknown;
  emit(event: 'error', status: CallStatus): boolean;
  on(event: 'drain', listener: () => void): unknown;
  once(event: 'cancelled', listener: () => void): unknown;
}

export interface ServerStreamOptions {
  /**
   * Longest time without response headers. With 0 they go out at once. Otherwise with the first message, or this late:
   * a failure before them then ends the call without headers, and a client tells it from a failure in mid-stream.
   * @default 0
   */
  readonly headersWithinMs?: number;
}

/** Adapts the call of a server-streaming method. */
export function serverStreamOf<Res>(
  call: ServerWritableStream<unknown, Res>,
  options: ServerStreamOptions = {},
): ServerStream<Res> {
  return new GrpcJsServerStream<Res>(call, options.headersWithinMs ?? 0);
}

/** Adapts the call of a bidirectional method; response headers go out at once. */
export function streamCallOf<Req, Res>(call: ServerDuplexStream<Req, Res>): StreamCall<Req, Res> {
  return new GrpcJsStreamCall<Req, Res>(call);
}

class GrpcJsServerStream<Res> implements ServerStream<Res> {
  private isFinished = false;
  private isCancelled = false;
  private cancelListener: (() => void) | undefined;
  private controller: AbortController | undefined;
  private waiting: (() => void)[] = [];

  private readonly headersTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly sending: SendingCall,
    headersWithinMs: number,
  ) {
    // A client that waits for headers would otherwise wait for the first message.
    const sendHeaders = (): void => sending.sendMetadata(new Metadata());
    if (headersWithinMs === 0) sendHeaders();
    else this.headersTimer = setTimeout(sendHeaders, headersWithinMs).unref();
    sending.on('drain', () => this.wake());
    sending.once('cancelled', () => this.cancel());
  }

  get peer(): string {
    return this.sending.getPeer();
  }

  get metadata(): Metadata {
    return this.sending.metadata;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.isCancelled) this.controller.abort();
    return this.controller.signal;
  }

  get isOver(): boolean {
    return this.isFinished || this.isCancelled;
  }

  send(message: DeepPartial<Res>): boolean {
    if (this.isOver) return true;
    clearTimeout(this.headersTimer);
    return this.sending.write(message);
  }

  async whenWritable(): Promise<void> {
    // grpc-js forgets the write callbacks of a cancelled call, so 'drain' alone would leave us waiting for ever.
    if (this.isOver || !this.sending.writableNeedDrain) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async sendWhenWritable(message: DeepPartial<Res>): Promise<void> {
    if (!this.send(message)) await this.whenWritable();
  }

  end(): void {
    if (this.isOver) return;
    this.isFinished = true;
    this.wake();
    this.sending.end();
  }

  fail(status: Status, message: string, detailsBytes?: Uint8Array): void {
    this.failAs(callStatus(status, message, detailsBytes));
  }

  failWith(error: unknown, log: RpcLog): void {
    // After a cancel most errors are its consequence; there is nobody left to tell.
    if (this.isOver) return;
    this.failAs(statusOfError(error, this.sending.getPath(), log));
  }

  onCancel(listener: () => void): void {
    this.cancelListener = listener;
  }

  private failAs(status: CallStatus): void {
    if (this.isOver) return;
    this.isFinished = true;
    this.wake();
    // grpc-js takes the status of a stream from its 'error' event.
    this.sending.emit('error', status);
  }

  private cancel(): void {
    // 'cancelled' also follows a normal end.
    clearTimeout(this.headersTimer);
    if (this.isOver) return;
    this.isCancelled = true;
    this.controller?.abort();
    this.wake();
    this.cancelListener?.();
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

class GrpcJsStreamCall<Req, Res> extends GrpcJsServerStream<Res> implements StreamCall<Req, Res> {
  private endListener: (() => void) | undefined;

  constructor(private readonly call: ServerDuplexStream<Req, Res>) {
    super(call, 0);
    // Without reading there is no end either, and not every handler wants the messages.
    call.resume();
    call.once('end', () => {
      // A reset arrives as 'end' first and as 'cancelled' later in the same turn; only then is a half-close certain.
      setImmediate(() => {
        if (!this.isOver && !call.cancelled) this.endListener?.();
      });
    });
  }

  onMessage(listener: (message: Req) => void): void {
    this.call.on('data', (message: Req) => {
      if (!this.isOver) listener(message);
    });
  }

  onEnd(listener: () => void): void {
    this.endListener = listener;
  }

  pause(): void {
    this.call.pause();
  }

  resume(): void {
    this.call.resume();
  }
}
