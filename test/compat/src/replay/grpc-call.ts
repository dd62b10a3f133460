import http2 from 'node:http2';
import net from 'node:net';
import { GrpcMessages, grpcFrame } from '../recording/grpc-frames.js';
import type { GrpcEndpoint } from '../recording/grpc-recorder.js';
import type { Headers } from '../recording/session.js';
import { Arrivals } from './arrivals.js';

/** Connection to a gRPC server over which calls are made byte for byte as they were recorded. */
export class GrpcConnection {
  private readonly session: http2.ClientHttp2Session;

  constructor(target: GrpcEndpoint) {
    this.session = http2.connect('http://replayed', { createConnection: () => net.connect({ ...target }) });
    // Each call tells by itself what it was in need of.
    this.session.on('error', () => undefined);
  }

  /** @param headers as the real client sent them, its own `:authority` and `grpc-timeout` among them */
  call(path: string, headers: Headers): GrpcCall {
    return new GrpcCall(this.session.request({ ...headers, ':method': 'POST', ':path': path }, { endStream: false }));
  }

  close(): void {
    this.session.destroy();
  }
}

/** One call under way. */
export class GrpcCall {
  /** Response headers; those of an answer that is trailers only are under `trailers` alone. */
  readonly headers = new Arrivals<http2.IncomingHttpHeaders>('response headers');
  readonly messages = new Arrivals<Buffer>('message');
  readonly trailers = new Arrivals<http2.IncomingHttpHeaders>('trailers');
  /** The stream is gone, whoever ended it; with its reset code. */
  readonly closed = new Arrivals<number>('close');

  constructor(private readonly stream: http2.ClientHttp2Stream) {
    const reader = new GrpcMessages();
    stream.on('response', (headers, flags) => {
      const isAll = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      (isAll ? this.trailers : this.headers).add(headers);
    });
    stream.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) this.messages.add(message);
    });
    stream.on('trailers', (trailers) => this.trailers.add(trailers));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      this.closed.add(stream.rstCode ?? 0);
      const [trailers] = this.trailers.all;
      const status = `${String(trailers?.['grpc-status'] ?? 'no status')} ${String(trailers?.['grpc-message'] ?? '')}`;
      for (const arrivals of [this.headers, this.messages, this.trailers]) {
        arrivals.fail(`the call has ended with ${status}`);
      }
    });
  }

  send(message: Buffer): void {
    this.stream.write(grpcFrame(message));
  }

  end(): void {
    if (!this.stream.destroyed) this.stream.end();
  }

  cancel(): void {
    this.stream.close(http2.constants.NGHTTP2_CANCEL);
  }
}
