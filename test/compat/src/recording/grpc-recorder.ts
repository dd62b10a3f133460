import http2 from 'node:http2';
import net from 'node:net';
import { GrpcMessages } from './grpc-frames.js';
import type { Headers } from './session.js';
import type { SessionRecorder } from './session-recorder.js';

/** Where a gRPC server listens. */
export type GrpcEndpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** Headers that belong to a connection or tell a time: not those of a call. */
const LEFT_OUT = new Set([':path', ':method', ':scheme', 'date']);

/**
 * Stands in front of a gRPC server, hands everything on unchanged in both directions, and records each call: its headers,
 * messages and end.
 */
export class GrpcRecorder {
  private readonly sessions = new Set<http2.ServerHttp2Session>();
  private upstream: http2.ClientHttp2Session | undefined;

  private constructor(
    private readonly server: http2.Http2Server,
    private readonly target: GrpcEndpoint,
    private readonly recorder: SessionRecorder,
  ) {
    server.on('session', (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session)).on('error', () => undefined);
    });
    server.on('stream', (stream, headers) => {
      this.forward(stream, headers);
    });
  }

  static async start(listen: GrpcEndpoint, target: GrpcEndpoint, recorder: SessionRecorder): Promise<GrpcRecorder> {
    const server = http2.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen, resolve);
    });
    return new GrpcRecorder(server, target, recorder);
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    this.upstream?.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private connection(): http2.ClientHttp2Session {
    if (this.upstream === undefined || this.upstream.closed || this.upstream.destroyed) {
      const { target } = this;
      this.upstream = http2.connect('http://recorded', { createConnection: () => net.connect({ ...target }) });
      // Each call that is under way is told by itself.
      this.upstream.on('error', () => undefined);
    }
    return this.upstream;
  }

  private forward(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    const { recorder } = this;
    const call = recorder.open('grpc', headers[':path']);
    recorder.headers('headers', call, '>', plain(headers));
    const request = this.connection().request(headers, { endStream: false });
    const requests = new GrpcMessages();
    stream.on('data', (chunk: Buffer) => {
      for (const message of requests.push(chunk)) recorder.message(call, '>', message);
      request.write(chunk);
    });
    stream.on('end', () => {
      if (stream.aborted) return;
      recorder.end('end', call, '>');
      request.end();
    });
    stream.on('aborted', () => {
      recorder.end('cancel', call, '>');
      request.close(http2.constants.NGHTTP2_CANCEL);
    });
    stream.on('error', () => undefined);
    this.answer(call, stream, request);
  }

  private answer(call: number, stream: http2.ServerHttp2Stream, request: http2.ClientHttp2Stream): void {
    const { recorder } = this;
    const answers = new GrpcMessages();
    let trailers: http2.IncomingHttpHeaders = {};
    request.on('response', (headers, flags) => {
      if (stream.destroyed) return;
      const isAll = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      recorder.headers(isAll ? 'trailers' : 'headers', call, '<', plain(headers));
      stream.respond(headers, isAll ? { endStream: true } : { waitForTrailers: true });
    });
    request.on('data', (chunk: Buffer) => {
      for (const message of answers.push(chunk)) recorder.message(call, '<', message);
      if (!stream.destroyed) stream.write(chunk);
    });
    request.on('trailers', (received) => {
      trailers = received;
      recorder.headers('trailers', call, '<', plain(received));
    });
    stream.on('wantTrailers', () => {
      stream.sendTrailers(trailers);
    });
    request.on('end', () => {
      if (!stream.destroyed) stream.end();
    });
    // A server that has said all it has to say closes a stream that its client would leave open.
    request.on('close', () => {
      if (stream.destroyed || stream.readableEnded || stream.aborted) return;
      recorder.end('cancel', call, '<');
      stream.end(() => {
        stream.close(request.rstCode ?? http2.constants.NGHTTP2_NO_ERROR);
      });
    });
    request.on('error', () => {
      if (!stream.destroyed) stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    });
  }
}

function plain(headers: http2.IncomingHttpHeaders): Headers {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !LEFT_OUT.has(name))
      .map(([name, value]) => [name, String(value)]),
  );
}
