import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type MethodDefinition, type Server, status as Status } from '@grpc/grpc-js';
import { type DirectRules, DirectStreamCall } from './direct-stream-call.js';
import { trailersOf } from './status.js';
import type { StreamCall } from './stream-call.js';

/*
 * grpc-js runs each message of a stream through a queue, a promise and several listeners, and pauses and resumes the stream
 * for it. For the one method that a scheduler is asked all the time that is more than the work itself. Its streams are
 * taken from the library's own HTTP/2 server and served on them: sockets, TLS, sessions, pings and the shut-down stay the
 * library's, as does every other method, and any stream that asks for something that is not known here.
 *
 * The library does not hand out its HTTP/2 servers. If a version hides them, the streams go the usual way.
 */

/** A bidirectional method that is served without the library. */
export interface DirectStream {
  readonly definition: MethodDefinition<unknown, unknown>;
  /** Installs its listeners at once; what it throws fails the call. */
  readonly serve: (stream: StreamCall<unknown, unknown>) => void | Promise<void>;
}

/** The same handler must be registered with the server besides, for the streams that go the usual way. */
export function directStream<Req, Res>(
  definition: MethodDefinition<Req, Res>,
  serve: (stream: StreamCall<Req, Res>) => void | Promise<void>,
): DirectStream {
  return { definition, serve } as unknown as DirectStream;
}

const taken = new WeakSet<Http2Server>();

/**
 * Serves these methods on every HTTP/2 server that the library has made so far.
 * @returns false when the library does not show them: it serves the methods itself
 */
export function serveDirectly(server: Server, methods: readonly DirectStream[], rules: DirectRules): boolean {
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<Http2Server, unknown> };
  if (typeof http2Servers?.keys !== 'function') return false;
  const byPath = new Map(methods.map((method) => [method.definition.path, method]));
  for (const http2Server of http2Servers.keys()) {
    if (taken.has(http2Server)) continue;
    taken.add(http2Server);
    takeStreams(http2Server, byPath, rules);
  }
  return true;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => void;

function takeStreams(http2Server: Http2Server, methods: ReadonlyMap<string, DirectStream>, rules: DirectRules): void {
  const others = http2Server.listeners('stream') as StreamListener[];
  http2Server.removeAllListeners('stream');
  http2Server.on('stream', (stream, headers, ...rest) => {
    const method = methods.get(headers[':path'] ?? '');
    if (method !== undefined && isPlain(headers)) serve(stream, headers, method, rules);
    else for (const other of others) other.call(http2Server, stream, headers, ...rest);
  });
}

/** Messages that are compressed, or that are not gRPC at all, are for the library. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return false;
  return headers['content-type']?.startsWith('application/grpc') === true;
}

function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  method: DirectStream,
  rules: DirectRules,
): void {
  const counts = rules.countsOf(method.definition);
  if (counts !== undefined) counts.started += 1;
  // Whatever goes wrong below closes the stream, which is noticed.
  stream.on('error', () => undefined);
  // Reset in the same breath in which it was opened: nothing can be answered any more.
  if (stream.closed || stream.destroyed) {
    counts?.end(Status.CANCELLED);
    return;
  }
  const refusal = rules.refusal(stream);
  if (refusal !== undefined) {
    counts?.end(refusal.code);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc+proto', ...trailersOf(refusal) },
      { endStream: true },
    );
    return;
  }
  const call = new DirectStreamCall(stream, headers, method.definition, counts, rules);
  const run = async (): Promise<void> => method.serve(call);
  run().catch((error: unknown) => call.failWith(error, rules.log));
}
