import { Metadata, type ServerDuplexStream, type ServerWritableStream } from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import { SendingStream } from './sending-stream.js';
import type { CallStatus } from './status.js';
import type { ServerStream, StreamCall } from './stream-call.js';

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

class GrpcJsServerStream<Res> extends SendingStream<Res> {
  private readonly headersTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly sending: SendingCall,
    headersWithinMs: number,
  ) {
    super();
    // A client that waits for headers would otherwise wait for the first message.
    const sendHeaders = (): void => sending.sendMetadata(new Metadata());
    if (headersWithinMs === 0) sendHeaders();
    else this.headersTimer = setTimeout(sendHeaders, headersWithinMs).unref();
    sending.on('drain', () => this.wake());
    sending.once('cancelled', () => {
      clearTimeout(this.headersTimer);
      // 'cancelled' also follows a normal end.
      if (this.isOver) return;
      this.markCancelled();
      // grpc-js forgets the write callbacks of a cancelled call: no 'drain' lets those go who wait for room.
      this.tellCancelled();
    });
  }

  get peer(): string {
    return this.sending.getPeer();
  }

  get metadata(): Metadata {
    return this.sending.metadata;
  }

  send(message: DeepPartial<Res>): boolean {
    if (this.isOver) return true;
    clearTimeout(this.headersTimer);
    return this.sending.write(message);
  }

  protected get methodPath(): string {
    return this.sending.getPath();
  }

  protected isFull(): boolean {
    return this.sending.writableNeedDrain;
  }

  protected close(status: CallStatus | undefined): void {
    if (status === undefined) this.sending.end();
    // grpc-js takes the status of a stream from its 'error' event.
    else this.sending.emit('error', status);
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
