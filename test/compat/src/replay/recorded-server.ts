import http2 from 'node:http2';
import net from 'node:net';
import { grpcFrame, GrpcMessages } from '../recording/grpc-frames.js';
import type { GrpcEndpoint } from '../recording/grpc-recorder.js';
import type { SessionEvent } from '../recording/session.js';

export interface RecordedServerOptions {
  readonly listen: GrpcEndpoint;
  /** Calls in the order in which they are answered, each as the first one to its method that is left. */
  readonly events: readonly SessionEvent[];
  /** What changes with place and time in answers. @default nothing */
  readonly patch?: (path: string, message: Buffer) => Buffer;
  /** Done before an answer begins, with the request: what the real program did besides answering. */
  readonly before?: (path: string, request: Buffer) => void | Promise<void>;
}

/** A request as it came from a client of ours. */
export interface ReceivedCall {
  readonly path: string;
  readonly headers: http2.IncomingHttpHeaders;
  readonly messages: Buffer[];
}

/** Answers gRPC calls byte for byte as a real program did when it was recorded. Other calls are UNIMPLEMENTED. */
export class RecordedServer {
  readonly received: ReceivedCall[] = [];
  private readonly sessions = new Set<http2.ServerHttp2Session>();
  private readonly left: { path: string; events: SessionEvent[] }[];

  private constructor(
    private readonly server: http2.Http2Server,
    private readonly options: RecordedServerOptions,
  ) {
    this.left = options.events.flatMap((opened) =>
      opened.type === 'open' && opened.protocol === 'grpc'
        ? [{ path: opened.path, events: options.events.filter(({ call }) => call === opened.call) }]
        : [],
    );
    server.on('session', (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session)).on('error', () => undefined);
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      void this.serve(stream, headers);
    });
  }

  static async start(options: RecordedServerOptions): Promise<RecordedServer> {
    const server = http2.createServer();
    const started = new RecordedServer(server, options);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.listen, resolve);
    });
    return started;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Never rejects: a client that goes away ends it. */
  private async serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
    const path = headers[':path'] ?? '';
    const call: ReceivedCall = { path, headers, messages: [] };
    this.received.push(call);
    const index = this.left.findIndex((each) => each.path === path);
    const [recorded] = index < 0 ? [] : this.left.splice(index, 1);
    if (recorded === undefined) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      return;
    }
    const reader = new GrpcMessages();
    for await (const chunk of stream as AsyncIterable<Buffer>) call.messages.push(...reader.push(chunk));
    await this.options.before?.(path, call.messages[0] ?? Buffer.alloc(0));
    if (!stream.destroyed) this.answer(stream, path, recorded.events);
  }

  private answer(stream: http2.ServerHttp2Stream, path: string, events: readonly SessionEvent[]): void {
    let hasHeaders = false;
    for (const event of events) {
      if (event.type === 'open' || event.side !== '<') continue;
      if (event.type === 'headers') {
        hasHeaders = true;
        stream.respond({ ...event.headers }, { waitForTrailers: true });
      } else if (event.type === 'message') {
        stream.write(grpcFrame(this.options.patch?.(path, event.bytes) ?? event.bytes));
      } else if (event.type === 'trailers' && hasHeaders) {
        stream.on('wantTrailers', () => stream.sendTrailers({ ...event.headers }));
        stream.end();
      } else if (event.type === 'trailers') {
        stream.respond({ ...event.headers }, { endStream: true });
      }
    }
  }
}

/** Answers piece requests with recorded frames, and with the contents that were left out of the recording. */
export class RecordedPieceServer {
  /** The frames that came, whole. */
  readonly requests: Buffer[] = [];
  private readonly sockets = new Set<net.Socket>();

  private constructor(private readonly server: net.Server) {}

  /** @param answerTo frame and content for a request */
  static async start(
    listen: { readonly host: string; readonly port: number },
    answerTo: (request: Buffer) => readonly Buffer[],
  ): Promise<RecordedPieceServer> {
    const server = net.createServer({ allowHalfOpen: true });
    const started = new RecordedPieceServer(server);
    server.on('connection', (socket) => {
      started.sockets.add(socket);
      socket.on('close', () => started.sockets.delete(socket)).on('error', () => undefined);
      socket.on('end', () => socket.end());
      let received = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        // Header, task id, number.
        for (; received.length >= PIECE_REQUEST_BYTES; received = received.subarray(PIECE_REQUEST_BYTES)) {
          const request = received.subarray(0, PIECE_REQUEST_BYTES);
          started.requests.push(request);
          for (const part of answerTo(request)) socket.write(part);
        }
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen, resolve);
    });
    return started;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const PIECE_REQUEST_BYTES = 6 + 64 + 4;
