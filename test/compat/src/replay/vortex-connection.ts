import { once } from 'node:events';
import net from 'node:net';
import {
  decodeFrameHeader,
  decodePieceContentValue,
  FRAME_HEADER_LENGTH_BYTES,
  meaningOfTag,
  type PieceMetadata,
} from '@dragonfly/vortex';
import { Arrivals } from './arrivals.js';

/** An answer of a parent. */
export interface PieceAnswer {
  /** The frame before the bytes, whole. */
  readonly frame: Buffer;
  readonly metadata: PieceMetadata | undefined;
  readonly content: Buffer;
}

/** A child's connection to a parent; reads nothing into what it sends. */
export class VortexConnection {
  readonly answers = new Arrivals<PieceAnswer>('piece');
  readonly ended = new Arrivals<true>('end of a connection');
  private received = Buffer.alloc(0);

  private constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('end', () => this.ended.add(true));
    socket.on('error', () => undefined);
  }

  static async open(target: { readonly host: string; readonly port: number }): Promise<VortexConnection> {
    const socket = net.connect({ ...target, allowHalfOpen: true });
    await once(socket, 'connect');
    return new VortexConnection(socket);
  }

  send(frame: Buffer): void {
    this.socket.write(frame);
  }

  end(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk]);
    while (this.received.length >= FRAME_HEADER_LENGTH_BYTES) {
      const { tag, valueLengthBytes } = decodeFrameHeader(this.received);
      const headEnd = FRAME_HEADER_LENGTH_BYTES + valueLengthBytes;
      if (this.received.length < headEnd) return;
      const isContent = meaningOfTag(tag).type === 'content';
      const metadata = isContent
        ? decodePieceContentValue(this.received.subarray(FRAME_HEADER_LENGTH_BYTES, headEnd))
        : undefined;
      const end = headEnd + (metadata?.lengthBytes ?? 0);
      if (this.received.length < end) return;
      const frame = this.received.subarray(0, headEnd);
      this.answers.add({ frame, metadata, content: this.received.subarray(headEnd, end) });
      this.received = this.received.subarray(end);
    }
  }
}
