import type net from 'node:net';
import { DfError } from '@dragonfly/errors';

/** What arrives while nobody says where to put it; also the size of a read when a line is wanted. */
const IDLE_BUFFER_BYTES = 64 << 10;

interface Demand {
  /** Bytes are wanted here, all of it; undefined = any bytes will do, in the idle buffer. */
  readonly target: Uint8Array | undefined;
  filledBytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Reads a socket on demand, straight into the caller's buffer where Node allows it (`onread`): no allocation and no copy
 * per chunk, which is most of what receiving costs. Between demands the socket is paused, so the peer is slowed down.
 *
 * Pass `onread` when the socket is made, then `attach` it; a socket made without it is read by 'data' events.
 */
export class SocketReader {
  readonly #idleTimeoutMs: number;
  #idleBuffer: Buffer | undefined;
  /** Received and not asked for yet: a view of the idle buffer, or a 'data' chunk. */
  #leftover: Uint8Array = new Uint8Array(0);
  #demand: Demand | undefined;
  /** The buffer Node was told to fill next, and for which demand. */
  #handed: { readonly buffer: Uint8Array; readonly demand: Demand | undefined } | undefined;
  #socket: net.Socket | undefined;
  #hasEnded = false;
  #failure: DfError | undefined;
  #lastByteAtMs = 0;
  #receivedBytes = 0;

  constructor(idleTimeoutMs: number) {
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** For `net.connect` and `tls.connect`. */
  readonly onread = {
    buffer: (): Uint8Array => {
      const demand = this.#demand;
      // Never an empty buffer: Node would report ENOBUFS.
      const buffer =
        demand?.target === undefined || this.#leftover.byteLength > 0
          ? (this.#idleBuffer ??= Buffer.allocUnsafeSlow(IDLE_BUFFER_BYTES))
          : demand.target.subarray(demand.filledBytes);
      this.#handed = { buffer, demand };
      return buffer;
    },
    callback: (bytes: number, buffer: Uint8Array): boolean => {
      const handed = this.#handed;
      if (
        handed?.demand !== undefined &&
        handed.demand === this.#demand &&
        handed.buffer === buffer &&
        handed.demand.target !== undefined
      ) {
        this.#noteBytes(bytes);
        handed.demand.filledBytes += bytes;
        this.#settleIfDone(handed.demand);
      } else {
        this.#takeChunk(buffer.subarray(0, bytes));
      }
      return this.#demand !== undefined;
    },
  };

  /** @param mode how the socket was made */
  attach(socket: net.Socket, mode: 'onread' | 'data'): void {
    this.#socket = socket;
    if (mode === 'data') {
      socket.on('data', (chunk: Buffer) => {
        this.#takeChunk(chunk);
        if (this.#demand === undefined) socket.pause();
      });
      socket.pause();
    }
    socket.once('end', () => this.#end());
    socket.once('error', (error) => this.fail(DfError.from(error, 'unavailable')));
    socket.once('close', () => this.#end());
  }

  /** The other side has sent its last byte, or the connection is broken. */
  get isOver(): boolean {
    return this.#hasEnded || this.#failure !== undefined;
  }

  /** Bytes have arrived that nobody asked for. */
  get hasLeftover(): boolean {
    return this.#leftover.byteLength > 0;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Lets the socket read while nobody asks, so that its end is noticed. */
  watch(): void {
    if (!this.isOver && !this.hasLeftover) this.#socket?.resume();
  }

  /**
   * Fills `target` (at least one byte). @returns bytes read, fewer only when the other side has ended or the connection
   *   has failed; what came before a failure is handed out first
   * @throws DfError `deadline-exceeded` when no byte comes for the idle timeout; whatever the socket or `fail` says
   */
  async fill(target: Uint8Array): Promise<number> {
    let done = this.#drainLeftover(target);
    if (done < target.byteLength && !this.isOver) {
      done += await this.#want(target.subarray(done));
    }
    if (done === 0 && this.#failure !== undefined) throw this.#failure;
    return done;
  }

  /**
   * Reads up to and including `delimiter`.
   * @returns undefined when the other side ended before anything came
   * @param limitError what to throw when `maxBytes` hold no delimiter
   * @throws DfError `unavailable` when it ends in the middle; as `fill` otherwise
   */
  async readThrough(delimiter: Buffer, maxBytes: number, limitError: () => Error): Promise<Buffer | undefined> {
    let collected: Buffer = Buffer.alloc(0);
    for (;;) {
      const leftover = this.#leftover;
      const before = collected.length;
      collected = Buffer.concat([collected, leftover.subarray(0, maxBytes - before)]);
      const found = collected.indexOf(delimiter, Math.max(0, before - delimiter.length + 1));
      if (found >= 0) {
        const end = found + delimiter.length;
        this.#leftover = leftover.subarray(end - before);
        return collected.subarray(0, end);
      }
      if (collected.length >= maxBytes) throw limitError();
      this.#leftover = leftover.subarray(leftover.byteLength);
      if (!this.isOver) await this.#want(undefined);
      if (this.hasLeftover) continue;
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.#hasEnded) continue;
      if (collected.length === 0) return undefined;
      throw new DfError('unavailable', 'the connection ended in the middle of an answer');
    }
  }

  /** Ends every wait, now and later, with `error`. */
  fail(error: DfError): void {
    this.#failure ??= error;
    const demand = this.#demand;
    this.#demand = undefined;
    if (demand !== undefined && demand.filledBytes > 0) demand.resolve();
    else demand?.reject(this.#failure);
  }

  async #want(target: Uint8Array | undefined): Promise<number> {
    const socket = this.#socket;
    if (socket === undefined || this.#demand !== undefined) throw new DfError('internal', 'one read at a time');
    this.#lastByteAtMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const watchIdle = (delayMs: number): void => {
      timer = setTimeout(() => {
        const quietMs = performance.now() - this.#lastByteAtMs;
        if (quietMs < this.#idleTimeoutMs) watchIdle(this.#idleTimeoutMs - quietMs);
        else this.#stall();
      }, delayMs);
    };
    try {
      return await new Promise<number>((resolve, reject) => {
        const demand: Demand = { target, filledBytes: 0, resolve: () => resolve(demand.filledBytes), reject };
        this.#demand = demand;
        watchIdle(this.#idleTimeoutMs);
        socket.resume();
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #stall(): void {
    this.fail(new DfError('deadline-exceeded', `no byte came for ${this.#idleTimeoutMs} ms`));
    this.#socket?.destroy();
  }

  #takeChunk(chunk: Uint8Array): void {
    this.#noteBytes(chunk.byteLength);
    this.#leftover = chunk;
    const demand = this.#demand;
    if (demand === undefined) return;
    if (demand.target !== undefined) {
      demand.filledBytes += this.#drainLeftover(demand.target.subarray(demand.filledBytes));
    }
    this.#settleIfDone(demand);
  }

  #settleIfDone(demand: Demand): void {
    if (demand.target !== undefined && demand.filledBytes < demand.target.byteLength) return;
    this.#demand = undefined;
    demand.resolve();
  }

  #drainLeftover(target: Uint8Array): number {
    const bytes = Math.min(target.byteLength, this.#leftover.byteLength);
    if (bytes === 0) return 0;
    target.set(this.#leftover.subarray(0, bytes));
    this.#leftover = this.#leftover.subarray(bytes);
    return bytes;
  }

  #noteBytes(bytes: number): void {
    this.#receivedBytes += bytes;
    this.#lastByteAtMs = performance.now();
  }

  #end(): void {
    this.#hasEnded = true;
    const demand = this.#demand;
    this.#demand = undefined;
    demand?.resolve();
  }
}
