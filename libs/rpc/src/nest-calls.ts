import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import { defer, ignoreElements, type Observable } from 'rxjs';
import type { CallContext } from './handle.js';
import { type ServerStreamOptions, serverStreamOf } from './grpc-js-streams.js';
import type { ServerStream } from './stream-call.js';

/**
 * Answers a server-streaming method whose messages go out through the raw call, with its flow control: Nest would keep
 * them in an array without bound. The Observable carries no message; it only tells Nest when the call is over, and how.
 */
export function streamOut<Req, Res>(
  call: ServerWritableStream<Req, Res>,
  serve: (request: Req, stream: ServerStream<Res>) => Promise<void>,
  options: ServerStreamOptions = {},
): Observable<never> {
  return defer(() => serve(call.request, serverStreamOf<Res>(call, options))).pipe(ignoreElements());
}

/** What handlers of unary methods see of their call. */
export interface RawCall {
  readonly cancelled: boolean;
  readonly metadata: Metadata;
  getPeer(): string;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** What a service that knows nothing of Nest wants to know about a unary call. */
export function contextOf(call: RawCall): CallContext {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once('cancelled', () => controller.abort());
  return { signal: controller.signal, peer: call.getPeer(), metadata: call.metadata };
}
