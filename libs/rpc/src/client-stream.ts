import { type CallOptions, type ClientDuplexStream, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import type { DeepPartial } from '@dragonfly/proto';
import { abortError, errorOfCall } from './unary.js';

export interface ReadStreamOptions {
  readonly signal?: AbortSignal;
  /** The call is cancelled and fails with `deadline-exceeded` when no message comes for this long. */
  readonly idleTimeoutMs?: number;
}

/**
 * The messages of a server-streaming or bidirectional call. A slow consumer holds the server back by flow control;
 * nothing piles up here. Leaving the loop early cancels the call. The signal is obeyed from now on, whether or not the
 * loop has begun.
 * @throws DfError (the loop) when the call ends with another status than OK, is aborted or idle for too long
 */
export function readStream<Res>(
  call: ClientReadableStream<Res> | ClientDuplexStream<never, Res>,
  options: ReadStreamOptions = {},
): AsyncGenerator<Res, void, undefined> {
  const { signal, idleTimeoutMs } = options;
  let failure: DfError | undefined;
  const stop = (reason: DfError): void => {
    failure ??= reason;
    call.cancel();
  };
  const onAbort = (): void => {
    if (signal !== undefined) stop(abortError(signal));
  };
  // Listened to at once: the call may fail before the first `next()`, and the stream would then look like ended.
  call.on('error', (error) => (failure ??= errorOfCall(error)));
  call.once('status', () => signal?.removeEventListener('abort', onAbort));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });

  return iterate();

  async function* iterate(): AsyncGenerator<Res, void, undefined> {
    const iterator = (call as AsyncIterable<Res, void>)[Symbol.asyncIterator]();
    try {
      while (failure === undefined) {
        const next = await nextWithin(iterator);
        if (next.done) break;
        yield next.value;
      }
    } finally {
      call.cancel(); // without effect on a call that is over
    }
    if (failure !== undefined) throw failure;
  }

  /** The idle time is ours to wait for the server; what the consumer does with a message does not count. */
  async function nextWithin(iterator: AsyncIterator<Res, void>): Promise<IteratorResult<Res, void>> {
    const timer =
      idleTimeoutMs === undefined
        ? undefined
        : setTimeout(
            () => stop(new DfError('deadline-exceeded', `no message from the server for ${idleTimeoutMs} ms`)),
            idleTimeoutMs,
          );
    try {
      return await iterator.next();
    } catch (error) {
      failure ??= errorOfCall(error);
      return { done: true, value: undefined };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A method of a generated client, bound to it: `client.announcePeer.bind(client)`. */
export type BidiMethod<Req, Res> = (metadata: Metadata, options?: Partial<CallOptions>) => ClientDuplexStream<Req, Res>;

/** A bidirectional call seen from the client. */
export class BidiCall<Req, Res> {
  private isOver = false;
  private waiting: (() => void)[] = [];
  private readonly reader: AsyncGenerator<Res, void, undefined>;

  private constructor(
    private readonly call: ClientDuplexStream<Req, Res>,
    options: ReadStreamOptions,
  ) {
    this.reader = readStream(call as ClientDuplexStream<never, Res>, options);
    call.on('drain', () => this.wake());
    call.once('status', () => {
      this.isOver = true;
      this.wake();
    });
  }

  /** Opens the call. It has no deadline: bound it with `signal` and `idleTimeoutMs`. */
  static open<Req, Res>(
    method: BidiMethod<Req, Res>,
    options: ReadStreamOptions & { readonly metadata?: Metadata } = {},
  ): BidiCall<Req, Res> {
    return new BidiCall(method(options.metadata ?? new Metadata(), {}), options);
  }

  /**
   * Sends a message and waits while the server reads more slowly than we send.
   * @throws DfError unavailable when the call is over; the reader knows why
   */
  async send(message: DeepPartial<Req>): Promise<void> {
    if (this.isOver) throw new DfError('unavailable', 'the stream is closed');
    if (this.call.write(message as Req)) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** Half-closes: no further message, the answers go on. */
  finish(): void {
    this.call.end();
  }

  /** Answers; see `readStream`. To be read once. */
  messages(): AsyncGenerator<Res, void, undefined> {
    return this.reader;
  }

  cancel(): void {
    this.call.cancel();
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
