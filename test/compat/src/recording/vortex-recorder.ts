import net from 'node:net';
import { decodeFrameHeader, decodePieceContentValue, FRAME_HEADER_LENGTH_BYTES, meaningOfTag } from '@dragonfly/vortex';
import type { SessionRecorder } from './session-recorder.js';
import type { Side } from './session.js';

/** Stands in front of a piece server, hands all bytes on unchanged, and records the frames of each connection. */
export class VortexRecorder {
  private readonly sockets = new Set<net.Socket>();

  private constructor(private readonly server: net.Server) {}

  static async start(
    listen: { readonly host: string; readonly port: number },
    target: { readonly host: string; readonly port: number },
    recorder: SessionRecorder,
  ): Promise<VortexRecorder> {
    const server = net.createServer({ allowHalfOpen: true });
    const started = new VortexRecorder(server);
    server.on('connection', (client) => {
      started.forward(client, net.connect({ ...target, allowHalfOpen: true }), recorder);
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

  private forward(client: net.Socket, parent: net.Socket, recorder: SessionRecorder): void {
    const call = recorder.open('vortex');
    const directions = [
      { from: client, to: parent, side: '>' },
      { from: parent, to: client, side: '<' },
    ] as const;
    for (const { from, to, side } of directions) {
      this.sockets.add(from);
      const frames = new Frames(recorder, call, side);
      from.on('data', (chunk) => {
        frames.push(chunk);
        to.write(chunk);
      });
      from.on('end', () => {
        recorder.end('end', call, side);
        to.end();
      });
      from.on('error', () => to.destroy());
      from.on('close', () => this.sockets.delete(from));
    }
  }
}

/** Cuts one direction of a connection into frames and the contents that follow them. */
class Frames {
  private rest = Buffer.alloc(0);
  private contentBytes = 0;

  constructor(
    private readonly recorder: SessionRecorder,
    private readonly call: number,
    private readonly side: Side,
  ) {}

  push(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const passed = Math.min(this.contentBytes, this.rest.length);
      this.rest = this.rest.subarray(passed);
      this.contentBytes -= passed;
      if (this.contentBytes > 0 || this.rest.length < FRAME_HEADER_LENGTH_BYTES) return;
      const { tag, valueLengthBytes } = decodeFrameHeader(this.rest);
      const end = FRAME_HEADER_LENGTH_BYTES + valueLengthBytes;
      if (this.rest.length < end) return;
      this.recorder.frame(this.call, this.side, this.rest.subarray(0, end));
      if (meaningOfTag(tag).type === 'content') {
        this.contentBytes = decodePieceContentValue(this.rest.subarray(FRAME_HEADER_LENGTH_BYTES, end)).lengthBytes;
        this.recorder.content(this.call, this.side, this.contentBytes);
      }
      this.rest = this.rest.subarray(end);
    }
  }
}
