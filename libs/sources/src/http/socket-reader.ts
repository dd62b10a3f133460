import type net from 'node:net';
import { DfError } from '@dragonfly/errors';
import type { ByteReceiver } from '../source-backend.js';

/** What arrives while nobody says where to put it; also the size of a read when a line is wanted. */
const IDLE_BUFFER_BYTES = 64 << 10;
/** Of it while a receiver has no room: those bytes are copied when it has. */
const NO_ROOM_READ_BYTES = 4 << 10;

const NOTHING = new Uint8Array(0);

/** Somebody waits for bytes. */
interface Wait {
  /** Undefined: any bytes will do, in the idle buffer. */
  readonly receiver: ByteReceiver | undefined;
  /** What the receiver may get. */
  leftBytes: number;
  /** Where the receiver wants the next bytes; undefined while it has no room. */
  buffer: Uint8Array | undefined;
  /** @param isServed false: the other side ended before the receiver had enough */
  readonly resolve: (isServed: boolean) => void;
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
  #idleBuffer: Uint8Array = NOTHING;
  /** Received and not asked for yet: a view of the idle buffer, or a 'data' chunk. */
  #leftover: Uint8Array = NOTHING;
  #wait: Wait | undefined;
  /** The buffer Node was told to fill next, and for whom. */
  #handed: { readonly buffer: Uint8Array; readonly wait: Wait | undefined } | undefined;
  #socket: net.Socket | undefined;
  /** The socket hands out what comes, without being asked. */
  #isFlowing = false;
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
      const wait = this.#wait;
      // Never an empty buffer: Node would report ENOBUFS.
      const buffer = wait?.buffer === undefined || this.hasLeftover ? this.#idleRoom() : wait.buffer;
      this.#handed = { buffer, wait: buffer === wait?.buffer ? wait : undefined };
      return buffer;
    },
    callback: (bytes: number, buffer: Uint8Array): boolean => {
      const { wait } = this.#handed ?? {};
      if (wait !== undefined && wait === this.#wait && wait.buffer === buffer) {
        this.#noteBytes(bytes);
        this.#give(wait, bytes);
        this.#advance(wait);
      } else {
        this.#takeChunk(buffer.subarray(0, bytes));
      }
      this.#isFlowing = this.#isWanted;
      return this.#isFlowing;
    },
  };

  /** @param mode how the socket was made */
  attach(socket: net.Socket, mode: 'onread' | 'data'): void {
    this.#socket = socket;
    if (mode === 'data') {
      socket.on('data', (chunk: Buffer) => {
        this.#takeChunk(chunk);
        this.#isFlowing = this.#isWanted;
        if (!this.#isFlowing) socket.pause();
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
    if (!this.isOver && !this.hasLeftover) this.#flow();
  }

  /**
   * Fills `target` (at least one byte). @returns bytes read, fewer only when the other side has ended or the connection
   *   has failed; what came before a failure is handed out first
   * @throws DfError `deadline-exceeded` when no byte comes for the idle timeout; whatever the socket or `fail` says
   */
  async fill(target: Uint8Array): Promise<number> {
    let done = 0;
    try {
      await this.pour({
        nextBuffer: () => (done < target.byteLength ? target.subarray(done) : undefined),
        received: (bytes) => {
          done += bytes;
        },
      });
    } catch (error) {
      if (done === 0) throw error;
    }
    return done;
  }

  /**
   * Hands out what comes until `receiver` wants no more or has got `maxBytes`.
   * @returns false when the other side ended before that
   * @throws DfError as `fill`; what the receiver throws
   */
  pour(receiver: ByteReceiver, maxBytes = Infinity): Promise<boolean> {
    return this.#serve(receiver, maxBytes);
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
      this.#leftover = NOTHING;
      if (!this.isOver) await this.#serve(undefined, Infinity);
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
    if (this.#wait !== undefined) this.#endWait(this.#wait, false);
  }

  async #serve(receiver: ByteReceiver | undefined, maxBytes: number): Promise<boolean> {
    if (this.#socket === undefined || this.#wait !== undefined) throw new DfError('internal', 'one read at a time');
    this.#lastByteAtMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const watchIdle = (delayMs: number): void => {
      timer = setTimeout(() => {
        const quietMs = this.#isWanted ? performance.now() - this.#lastByteAtMs : 0;
        if (quietMs < this.#idleTimeoutMs) watchIdle(this.#idleTimeoutMs - quietMs);
        else this.#stall();
      }, delayMs);
    };
    try {
      return await new Promise<boolean>((resolve, reject) => {
        const wait: Wait = { receiver, leftBytes: maxBytes, buffer: undefined, resolve, reject };
        this.#wait = wait;
        watchIdle(this.#idleTimeoutMs);
        this.#advance(wait);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks the receiver for room, hands out what lies ready, and lets the socket read when more is wanted. */
  #advance(wait: Wait): void {
    const { receiver } = wait;
    try {
      while (this.#wait === wait) {
        if (receiver === undefined) {
          if (this.hasLeftover) this.#endWait(wait, true);
          break;
        }
        const next = wait.leftBytes === 0 ? undefined : receiver.nextBuffer();
        if (next === undefined) {
          this.#endWait(wait, true);
          return;
        }
        if (!ArrayBuffer.isView(next)) {
          this.#awaitRoom(wait, next);
          return;
        }
        wait.buffer = next.byteLength <= wait.leftBytes ? next : next.subarray(0, wait.leftBytes);
        if (!this.hasLeftover) break;
        this.#give(wait, this.#drainLeftover(wait.buffer));
      }
    } catch (error) {
      this.#endWait(wait, false, error);
    }
    if (this.#wait !== wait) return;
    if (this.isOver) this.#endWait(wait, false);
    else this.#flow();
  }

  #awaitRoom(wait: Wait, room: Promise<void>): void {
    wait.buffer = undefined;
    room.then(
      () => {
        this.#lastByteAtMs = performance.now();
        if (this.#wait === wait) this.#advance(wait);
      },
      (error: unknown) => {
        this.#endWait(wait, false, error);
      },
    );
  }

  #give(wait: Wait, bytes: number): void {
    wait.leftBytes -= bytes;
    try {
      wait.receiver?.received(bytes);
    } catch (error) {
      this.#endWait(wait, false, error);
    }
  }

  #endWait(wait: Wait, isServed: boolean, error: unknown = isServed ? undefined : this.#failure): void {
    if (this.#wait !== wait) return;
    this.#wait = undefined;
    if (error === undefined) wait.resolve(isServed);
    else wait.reject(error);
  }

  /** Whether what comes next has somewhere to go. */
  get #isWanted(): boolean {
    const wait = this.#wait;
    return wait !== undefined && (wait.receiver === undefined || wait.buffer !== undefined);
  }

  #flow(): void {
    if (this.#isFlowing) return;
    this.#isFlowing = true;
    this.#socket?.resume();
  }

  #stall(): void {
    this.fail(new DfError('deadline-exceeded', `no byte came for ${this.#idleTimeoutMs} ms`));
    this.#socket?.destroy();
  }

  /**
   * Room behind the bytes that nobody has asked for yet: a stopped TLS socket still hands out what it has decrypted.
   * That is what one read brought, 64 KiB, so the buffer grows once at most.
   */
  #idleRoom(): Uint8Array {
    const leftover = this.#leftover;
    let start = 0;
    if (leftover.byteLength === 0) {
      if (this.#idleBuffer.byteLength !== IDLE_BUFFER_BYTES) {
        this.#idleBuffer = Buffer.allocUnsafeSlow(IDLE_BUFFER_BYTES);
      }
    } else {
      const isInIdleBuffer = leftover.buffer === this.#idleBuffer.buffer;
      start = isInIdleBuffer ? leftover.byteOffset + leftover.byteLength : leftover.byteLength;
      if (!isInIdleBuffer || start === this.#idleBuffer.byteLength) {
        const grown = Buffer.allocUnsafeSlow(leftover.byteLength + IDLE_BUFFER_BYTES);
        grown.set(leftover);
        start = leftover.byteLength;
        this.#idleBuffer = grown;
        this.#leftover = grown.subarray(0, start);
      }
    }
    const hasNoRoom = this.#wait !== undefined && !this.#isWanted;
    return this.#idleBuffer.subarray(start, hasNoRoom ? start + NO_ROOM_READ_BYTES : undefined);
  }

  #takeChunk(chunk: Uint8Array): void {
    this.#noteBytes(chunk.byteLength);
    const before = this.#leftover;
    if (before.byteLength === 0) {
      this.#leftover = chunk;
    } else if (before.buffer === chunk.buffer && before.byteOffset + before.byteLength === chunk.byteOffset) {
      this.#leftover = new Uint8Array(before.buffer, before.byteOffset, before.byteLength + chunk.byteLength);
    } else {
      this.#leftover = Buffer.concat([before, chunk]);
    }
    // A receiver without room takes it when it has.
    if (this.#wait !== undefined && this.#isWanted) this.#advance(this.#wait);
  }

  #drainLeftover(target: Uint8Array): number {
    const bytes = Math.min(target.byteLength, this.#leftover.byteLength);
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
    // A receiver without room gets what has come when it has.
    if (this.#wait !== undefined && (this.#isWanted || !this.hasLeftover)) this.#endWait(this.#wait, false);
  }
}
