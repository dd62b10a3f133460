import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
} from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import type { RpcLog } from './log.js';
import { type ServerStreamOptions, serverStreamOf, streamCallOf } from './grpc-js-streams.js';
import { statusOfError } from './status.js';
import type { ServerStream, StreamCall } from './stream-call.js';

/** What a handler may know about its call. */
export interface CallContext {
  /** Aborted when the caller is gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** Address of the caller; 'unknown' over a unix socket. */
  readonly peer: string;
  readonly metadata: Metadata;
}

/**
 * A unary method as an async function. Fields that the answer leaves out have their zero value.
 *
 * What it throws becomes the status of the call: a `DfError` by the table of the errors package, anything unforeseen
 * INTERNAL with a log line.
 */
export function handleUnary<Req, Res>(
  fn: (request: Req, context: CallContext) => Promise<DeepPartial<Res>>,
  log: RpcLog,
): handleUnaryCall<Req, Res> {
  return (call, callback) => {
    // `async` so that a synchronous throw takes the same way.
    const run = async (): Promise<DeepPartial<Res>> => fn(call.request, unaryContext(call));
    run().then(
      (response) => callback(null, response as Res),
      (error: unknown) => callback(statusOfError(error, call.getPath(), log)),
    );
  };
}

/**
 * A server-streaming method as an async function that sends through `stream`. The call ends when it resolves.
 * `await stream.sendWhenWritable(message)` waits for a slow reader; `stream.signal` tells that it is gone.
 */
export function handleServerStream<Req, Res>(
  fn: (request: Req, stream: ServerStream<Res>) => Promise<void>,
  log: RpcLog,
  options: ServerStreamOptions = {},
): handleServerStreamingCall<Req, Res> {
  return (call) => {
    const stream = serverStreamOf<Res>(call, options);
    const run = async (): Promise<void> => fn(call.request, stream);
    run().then(
      () => stream.end(),
      (error: unknown) => stream.failWith(error, log),
    );
  };
}

type AnyStreamHandler = (stream: StreamCall<unknown, unknown>) => void | Promise<void>;
/** What {@link handleBidi} was given, for servers that need no library for it. */
const directHandlers = new WeakMap<object, AnyStreamHandler>();

/** The function behind a handler that {@link handleBidi} made; undefined for any other. */
export function streamHandlerOf(implementation: object): AnyStreamHandler | undefined {
  return directHandlers.get(implementation);
}

/** A bidirectional method; see `serveStream`. */
export function handleBidi<Req, Res>(
  fn: (stream: StreamCall<Req, Res>) => void | Promise<void>,
  log: RpcLog,
): handleBidiStreamingCall<Req, Res> {
  const handler: handleBidiStreamingCall<Req, Res> = (call) => {
    void serveStream(call, fn, log);
  };
  directHandlers.set(handler, fn as unknown as AnyStreamHandler);
  return handler;
}

/**
 * Runs a bidirectional call: `fn` installs its listeners at once and later calls `end` or `fail`; what it throws fails
 * the call.
 * @returns resolved, never rejected, when the call is over. Nest's `@GrpcStreamCall` handlers return this promise.
 */
export async function serveStream<Req, Res>(
  call: ServerDuplexStream<Req, Res>,
  fn: (stream: StreamCall<Req, Res>) => void | Promise<void>,
  log: RpcLog,
): Promise<void> {
  const stream = streamCallOf<Req, Res>(call);
  const isOver = new Promise<void>((resolve) => call.once('close', resolve));
  try {
    await fn(stream);
  } catch (error) {
    stream.failWith(error, log);
  }
  await isOver;
}

/** Built lazily: most handlers never look at the signal. */
function unaryContext(call: ServerUnaryCall<unknown, unknown>): CallContext {
  let controller: AbortController | undefined;
  return {
    get signal(): AbortSignal {
      if (controller === undefined) {
        const created = new AbortController();
        controller = created;
        if (call.cancelled) created.abort();
        else call.once('cancelled', () => created.abort());
      }
      return controller.signal;
    },
    get peer(): string {
      return call.getPeer();
    },
    metadata: call.metadata,
  };
}
