import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/*
 * Just enough of an HTTP/2 client to load a gRPC server: requests are frames that were built beforehand, and nothing of an
 * answer is decoded but its messages and whether its status is OK. A client library would cost more than the server and
 * be what is measured.
 *
 * It keeps to the connection's window. It does not look at the windows of streams: whoever uses it sends less than
 * MIN_STREAM_WINDOW_BYTES on each.
 */

/** What every server of gRPC allows on a stream that has just begun. */
export const MIN_STREAM_WINDOW_BYTES = 65_535;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEADER_BYTES = 9;
const GRPC_HEADER_BYTES = 5;
const FIRST_WINDOW_BYTES = 65_535;
/** Given to the server at once, so that it never waits for us; a round sends far less. */
const OUR_WINDOW_BYTES = 2 ** 31 - 1 - FIRST_WINDOW_BYTES;

const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const SETTING = { headerTableSize: 1, enablePush: 2 } as const;

/** `grpc-status` with the value 0: both may be compressed by the code of RFC 7541, appendix B, or stand there as they are. */
const STATUS_NAMES = [
  Buffer.concat([Buffer.of(0x80 | 8), Buffer.from('9acac8b21234da8f', 'hex')]),
  Buffer.concat([Buffer.of(11), Buffer.from('grpc-status')]),
];
const STATUS_OK = STATUS_NAMES.flatMap((name) => [
  Buffer.concat([name, Buffer.of(1, 0x30)]),
  Buffer.concat([name, Buffer.of(0x81, 0x07)]),
]);

/** What happens on a stream. */
export interface StreamListener {
  /** @param message without the five bytes in front of it; valid during the call only */
  onMessage(message: Buffer): void;
  /** @param failure undefined when the status is OK */
  onEnd(failure: string | undefined): void;
}

interface OpenStream {
  readonly listener: StreamListener;
  /** Of a message that has not come whole. */
  rest: Buffer | undefined;
}

/** A DATA frame around one gRPC message; the stream's number is put in by {@link stampStreamId}. */
export function messageFrame(message: Uint8Array, isLast = false): Buffer {
  const length = GRPC_HEADER_BYTES + message.length;
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + length);
  frame.writeUIntBE(length, 0, 3);
  frame[3] = TYPE.data;
  frame[4] = isLast ? FLAG.endStream : 0;
  frame.writeUInt32BE(message.length, FRAME_HEADER_BYTES + 1);
  frame.set(message, FRAME_HEADER_BYTES + GRPC_HEADER_BYTES);
  return frame;
}

/** @param offset where the frame begins */
export function stampStreamId(frames: Buffer, offset: number, streamId: number): void {
  frames.writeUInt32BE(streamId, offset + 5);
}

/** One connection with any number of calls of one method. */
export class Http2Connection {
  private readonly streams = new Map<number, OpenStream>();
  private nextStreamId = 1;
  private windowBytes = FIRST_WINDOW_BYTES;
  /** Waits for the window: in order, each with the bytes that count against it. */
  private readonly held: { readonly frames: Buffer; readonly dataBytes: number }[] = [];
  private outgoing: Buffer[] = [];
  private unread: Buffer | undefined;
  private isFirstRequest = true;
  private readonly firstHeaders: Buffer;
  private readonly laterHeaders: Buffer;
  private readonly socket: Socket;

  private constructor(socket: Socket, path: string, authority: string) {
    this.socket = socket;
    const headers = headerBlocks(path, authority);
    this.firstHeaders = headers.first;
    this.laterHeaders = headers.later;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    socket.on('close', () => {
      this.failAll('the connection was closed');
    });
    // No table for the headers of answers: then the status always looks the same.
    const settings = frame(TYPE.settings, 0, 0, Buffer.alloc(12));
    settings.writeUInt16BE(SETTING.headerTableSize, FRAME_HEADER_BYTES);
    settings.writeUInt16BE(SETTING.enablePush, FRAME_HEADER_BYTES + 6);
    const window = frame(TYPE.windowUpdate, 0, 0, Buffer.alloc(4));
    window.writeUInt32BE(OUR_WINDOW_BYTES, FRAME_HEADER_BYTES);
    this.write(Buffer.concat([PREFACE, settings, window]));
  }

  /** @param path of the method, e.g. `/scheduler.v2.Scheduler/AnnouncePeer` */
  static async open(address: string, path: string): Promise<Http2Connection> {
    const colon = address.lastIndexOf(':');
    const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
    await once(socket, 'connect');
    return new Http2Connection(socket, path, address);
  }

  /**
   * Begins a call.
   * @param frames the first messages; their frames must begin at `offsets`
   * @returns number of the stream, for {@link send}
   */
  call(frames: Buffer, offsets: readonly number[], listener: StreamListener): number {
    const streamId = this.nextStreamId;
    this.nextStreamId += 2;
    this.streams.set(streamId, { listener, rest: undefined });
    const block = this.isFirstRequest ? this.firstHeaders : this.laterHeaders;
    this.isFirstRequest = false;
    this.write(frame(TYPE.headers, FLAG.endHeaders, streamId, block));
    this.send(streamId, frames, offsets);
    return streamId;
  }

  /** Further messages; the buffer must not be changed afterwards. */
  send(streamId: number, frames: Buffer, offsets: readonly number[]): void {
    for (const offset of offsets) stampStreamId(frames, offset, streamId);
    this.held.push({ frames, dataBytes: frames.length - offsets.length * FRAME_HEADER_BYTES });
    this.sendHeld();
  }

  close(): void {
    this.socket.destroy();
  }

  private sendHeld(): void {
    for (let next = this.held[0]; next !== undefined && next.dataBytes <= this.windowBytes; next = this.held[0]) {
      this.held.shift();
      this.windowBytes -= next.dataBytes;
      this.write(next.frames);
    }
  }

  /** What is written in one turn goes out together. */
  private write(bytes: Buffer): void {
    if (this.outgoing.push(bytes) > 1) return;
    queueMicrotask(() => {
      const { outgoing } = this;
      this.outgoing = [];
      this.socket.write(outgoing.length === 1 && outgoing[0] !== undefined ? outgoing[0] : Buffer.concat(outgoing));
    });
  }

  private read(chunk: Buffer): void {
    const bytes = this.unread === undefined ? chunk : Buffer.concat([this.unread, chunk]);
    let position = 0;
    while (bytes.length - position >= FRAME_HEADER_BYTES) {
      const end = position + FRAME_HEADER_BYTES + bytes.readUIntBE(position, 3);
      if (end > bytes.length) break;
      this.frame(bytes, position, end);
      position = end;
    }
    this.unread = position < bytes.length ? bytes.subarray(position) : undefined;
  }

  private frame(bytes: Buffer, start: number, end: number): void {
    const flags = bytes[start + 4] ?? 0;
    const streamId = bytes.readUInt32BE(start + 5) & 0x7fffffff;
    const payload = start + FRAME_HEADER_BYTES;
    switch (bytes[start + 3]) {
      case TYPE.data:
        this.data(streamId, bytes.subarray(payload, end));
        return;
      case TYPE.headers:
        if ((flags & FLAG.endStream) !== 0) this.end(streamId, bytes.subarray(payload, end));
        return;
      case TYPE.reset:
        this.finish(streamId, `reset with code ${bytes.readUInt32BE(payload)}`);
        return;
      case TYPE.settings:
        if ((flags & FLAG.ack) === 0) this.write(frame(TYPE.settings, FLAG.ack, 0, Buffer.alloc(0)));
        return;
      case TYPE.ping:
        if ((flags & FLAG.ack) === 0) this.write(frame(TYPE.ping, FLAG.ack, 0, bytes.subarray(payload, end)));
        return;
      case TYPE.goAway:
        this.failAll(`the server went away with code ${bytes.readUInt32BE(payload + 4)}`);
        return;
      case TYPE.windowUpdate:
        if (streamId !== 0) return;
        this.windowBytes += bytes.readUInt32BE(payload);
        this.sendHeld();
        return;
      default:
        return;
    }
  }

  private data(streamId: number, payload: Buffer): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    const bytes = stream.rest === undefined ? payload : Buffer.concat([stream.rest, payload]);
    let position = 0;
    while (bytes.length - position >= GRPC_HEADER_BYTES) {
      const end = position + GRPC_HEADER_BYTES + bytes.readUInt32BE(position + 1);
      if (end > bytes.length) break;
      stream.listener.onMessage(bytes.subarray(position + GRPC_HEADER_BYTES, end));
      position = end;
    }
    stream.rest = position < bytes.length ? bytes.subarray(position) : undefined;
  }

  private end(streamId: number, headerBlock: Buffer): void {
    const isOk = STATUS_OK.some((status) => headerBlock.includes(status));
    this.finish(streamId, isOk ? undefined : `not OK, trailers ${headerBlock.toString('hex')}`);
  }

  private finish(streamId: number, failure: string | undefined): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    this.streams.delete(streamId);
    stream.listener.onEnd(failure);
  }

  private failAll(failure: string): void {
    for (const streamId of [...this.streams.keys()]) this.finish(streamId, failure);
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

const METHOD_POST = 0x83;
const SCHEME_HTTP = 0x86;
/** First place of the dynamic table; the entry added last stands there. */
const DYNAMIC = 62;
const INDEXED = 0x80;
const ADD = 0x40;

/** Headers as a client library sends them: the first request teaches the server's table, later ones point into it. */
function headerBlocks(path: string, authority: string): { first: Buffer; later: Buffer } {
  const fields: (readonly [name: number | string, value: string])[] = [
    [4, path],
    [1, authority],
    [31, 'application/grpc'],
    ['te', 'trailers'],
    [58, 'df-bench/1'],
  ];
  const first = fields.map(([name, value]) =>
    typeof name === 'number'
      ? Buffer.concat([Buffer.of(ADD | name), text(value)])
      : Buffer.concat([Buffer.of(ADD), text(name), text(value)]),
  );
  const later = fields.map((_, index) => INDEXED | (DYNAMIC + fields.length - 1 - index));
  const pseudo = Buffer.of(METHOD_POST, SCHEME_HTTP);
  return { first: Buffer.concat([pseudo, ...first]), later: Buffer.concat([pseudo, Buffer.from(later)]) };
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
}
