import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Metadata, type MethodDefinition, status as Status } from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import type { MethodCounts } from './call-counts.js';
import type { RpcLog } from './log.js';
import { SendingStream } from './sending-stream.js';
import { type CallStatus, callStatus, trailersOf } from './status.js';
import type { StreamCall } from './stream-call.js';

/** Before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** Those of grpc-js. */
const RESPONSE_HEADERS = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': 'identity,deflate,gzip',
  'grpc-encoding': 'identity',
} as const;
const RESPONSE_OPTIONS = { waitForTrailers: true } as const;

/** Headers of the transport, which are nobody's business. */
const OWN_HEADERS = ['grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding', 'accept-encoding', 'te', 'content-type'];

/** What the interceptors of the server do for other methods. */
export interface DirectRules {
  readonly log: RpcLog;
  readonly maxReceiveBytes: number;
  /** Whether a new stream is refused, and how. */
  readonly refusal: (stream: ServerHttp2Stream) => CallStatus | undefined;
  /** What is wrong with a message. */
  readonly violation: (path: string, message: unknown) => string | undefined;
  readonly countsOf: (definition: MethodDefinition<unknown, unknown>) => MethodCounts | undefined;
}

/** A bidirectional call on a stream of `node:http2`, without a library in between. Response headers go out at once. */
export class DirectStreamCall<Req, Res> extends SendingStream<Res> implements StreamCall<Req, Res> {
  private messageListener: ((message: Req) => void) | undefined;
  private endListener: (() => void) | undefined;
  private isPaused = false;
  /** The caller has half-closed; told when all its messages have been handed over. */
  private hasEnded = false;
  /** Bytes that were not handed over: of an incomplete message, or of those behind the one at a pause. */
  private rest: Buffer[] = [];
  private restBytes = 0;
  /** With so many there is a message. */
  private neededBytes = PREFIX_BYTES;
  private status: CallStatus | undefined;

  constructor(
    private readonly stream: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders,
    private readonly method: MethodDefinition<Req, Res>,
    private readonly counts: MethodCounts | undefined,
    private readonly rules: DirectRules,
  ) {
    super();
    stream.respond(RESPONSE_HEADERS, RESPONSE_OPTIONS);
    stream.on('data', (chunk: Buffer) => {
      this.rest.push(chunk);
      this.restBytes += chunk.length;
      if (this.restBytes >= this.neededBytes) this.take();
    });
    stream.on('end', () => {
      // A reset looks like an end at first; what it was shows at the end of the turn.
      setImmediate(() => {
        this.hasEnded = !stream.closed && !stream.destroyed;
        this.tellEnd();
      });
    });
    stream.on('wantTrailers', () => {
      if (stream.closed || stream.destroyed) return;
      stream.sendTrailers(this.status === undefined ? OK_TRAILERS : trailersOf(this.status));
    });
    stream.on('drain', () => this.wake());
    stream.on('close', () => {
      if (this.isOver) return;
      this.counts?.end(Status.CANCELLED);
      this.keep(undefined);
      this.markCancelled();
      this.tellCancelled();
    });
  }

  get peer(): string {
    const socket = this.stream.session?.socket;
    const { remoteAddress, remotePort } = socket ?? {};
    if (remoteAddress === undefined) return 'unknown';
    return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
  }

  get metadata(): Metadata {
    const metadata = Metadata.fromHttp2Headers(this.headers);
    for (const name of OWN_HEADERS) metadata.remove(name);
    return metadata;
  }

  onMessage(listener: (message: Req) => void): void {
    this.messageListener = listener;
  }

  onEnd(listener: () => void): void {
    this.endListener = listener;
  }

  pause(): void {
    this.isPaused = true;
    this.stream.pause();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    // Not within the call of whoever resumes.
    process.nextTick(() => {
      if (this.isPaused) return;
      this.take();
      if (this.mayBePaused()) return;
      this.stream.resume();
      this.tellEnd();
    });
  }

  send(message: DeepPartial<Res>): boolean {
    if (this.isOver || this.stream.destroyed || this.stream.closed) return true;
    let bytes: Buffer;
    try {
      bytes = this.method.responseSerialize(message as Res);
    } catch (error) {
      this.rules.log.error({ err: error, method: this.method.path }, 'an answer could not be encoded');
      this.refuse(callStatus(Status.INTERNAL, 'Error serializing response'));
      return true;
    }
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + bytes.length);
    frame[0] = 0;
    frame.writeUInt32BE(bytes.length, 1);
    frame.set(bytes, PREFIX_BYTES);
    if (this.counts !== undefined) this.counts.sent += 1;
    return this.stream.write(frame);
  }

  protected get methodPath(): string {
    return this.method.path;
  }

  protected isFull(): boolean {
    return this.stream.writableNeedDrain;
  }

  /** Ends the call for a reason that its handler does not know: to the handler it is cancelled. */
  private refuse(status: CallStatus): void {
    if (this.isOver) return;
    this.markCancelled();
    this.close(status);
    process.nextTick(() => this.tellCancelled());
  }

  protected close(status: CallStatus | undefined): void {
    this.status = status;
    this.keep(undefined);
    this.counts?.end(status?.code ?? Status.OK);
    this.stream.end();
    // What still comes is of no interest, but has to be read.
    if (this.isPaused) this.stream.resume();
    this.isPaused = false;
  }

  /** Hands over the messages that are there whole, and keeps what is left. */
  private take(): void {
    const { counts, method, rules } = this;
    const [only] = this.rest;
    const bytes = only !== undefined && this.rest.length === 1 ? only : Buffer.concat(this.rest, this.restBytes);
    let position = 0;
    let neededBytes = PREFIX_BYTES;
    while (!this.isOver && !this.mayBePaused() && bytes.length - position >= PREFIX_BYTES) {
      const start = position + PREFIX_BYTES;
      const length = bytes.readUInt32BE(position + 1);
      if (length > rules.maxReceiveBytes) {
        const text = `Received message larger than max (${length} vs ${rules.maxReceiveBytes})`;
        this.refuse(callStatus(Status.RESOURCE_EXHAUSTED, text));
        return;
      }
      if (bytes.length - start < length) {
        neededBytes = PREFIX_BYTES + length;
        break;
      }
      if (bytes[position] !== 0) {
        this.refuse(callStatus(Status.INTERNAL, 'a message is compressed, but grpc-encoding names no way'));
        return;
      }
      position = start + length;
      let message: Req;
      try {
        message = method.requestDeserialize(bytes.subarray(start, position));
      } catch {
        this.refuse(callStatus(Status.INTERNAL, 'Error deserializing request'));
        return;
      }
      if (counts !== undefined) counts.received += 1;
      const violation = rules.violation(method.path, message);
      if (violation !== undefined) {
        this.refuse(callStatus(Status.INVALID_ARGUMENT, violation));
        return;
      }
      this.messageListener?.(message);
    }
    this.keep(this.isOver || position === bytes.length ? undefined : bytes.subarray(position), neededBytes);
  }

  private keep(bytes: Buffer | undefined, neededBytes = PREFIX_BYTES): void {
    this.rest = bytes === undefined ? [] : [bytes];
    this.restBytes = bytes?.length ?? 0;
    this.neededBytes = neededBytes;
  }

  /** Also of a call that is paused the end comes by itself, while messages that came with it are still kept here. */
  private tellEnd(): void {
    if (!this.hasEnded || this.isPaused || this.isOver) return;
    this.hasEnded = false;
    this.endListener?.();
  }

  /** A listener may pause, which a compiler that has just seen it unpaused does not expect. */
  private mayBePaused(): boolean {
    return this.isPaused;
  }
}

const OK_TRAILERS = { 'grpc-status': Number(Status.OK), 'grpc-message': 'OK' };
