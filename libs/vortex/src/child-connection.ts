import { read } from 'node:fs';
import type { Socket } from 'node:net';
import { DfError } from '@dragonfly/errors';
import type { BufferPool } from './buffer-pool.js';
import { FrameError } from './frame-error.js';
import { encodeErrorFrame, encodePieceContentHead, WIRE_ERROR_CODES } from './frame.js';
import type { OpenPiece, PieceSource, VortexLog } from './piece-source.js';
import type { RateLimiter } from './rate-limiter.js';
import { type IncomingRequest, RequestParser } from './request-parser.js';

/**
 * Buffers that one answer uses while nobody else waits for one: one is read from disk while the other is sent.
 */
const READ_AHEAD_BUFFERS = 2;

/**
 * Bytes of further requests that may lie waiting while one is answered. Children do not pipeline; more than this stops
 * reading until the answer is out.
 */
const MAX_WAITING_REQUEST_BYTES = 4096;

/** Counters that connections of one server share. */
export interface ServerCounters {
  answers: number;
  errorAnswers: number;
  bytesSent: number;
  rejectedFrames: number;
  timeouts: number;
  shortReads: number;
}

/** What a connection needs from its server. */
export interface ChildConnectionContext {
  readonly source: PieceSource;
  readonly limiter: RateLimiter | undefined;
  readonly pool: BufferPool;
  readonly log: VortexLog;
  readonly idleTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly counters: ServerCounters;
}

/**
 * One connection from a child: requests are answered one after another until the child ends, is silent for too long or
 * sends something else.
 */
export class ChildConnection {
  /** Resolves when the socket is closed and no file is read any more. */
  readonly finished: Promise<void>;

  private readonly parser = new RequestParser();
  private readonly gone = new AbortController();
  private readonly remote: string;
  private isAnswering = false;
  private isDraining = false;
  private hasInputEnded = false;
  private lastAnswer: Promise<void> = Promise.resolve();
  private idleTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly context: ChildConnectionContext,
  ) {
    this.remote = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    socket.on('data', (chunk) => this.onData(chunk));
    // Old children close their writing side once they have the metadata, while the piece is still flowing. So the end of
    // their input ends the connection only after the answer is out (the server allows half-open sockets).
    socket.on('end', () => {
      this.hasInputEnded = true;
      this.proceed();
    });
    socket.on('error', (error) => context.log.debug({ remote: this.remote, err: error }, 'child connection failed'));
    this.finished = new Promise((resolve) => {
      socket.on('close', () => {
        clearTimeout(this.idleTimer);
        this.gone.abort();
        void this.lastAnswer.then(resolve);
      });
    });
    this.startIdleTimer();
  }

  /** Ends the connection: at once when idle, else after the answer that is being sent. */
  drain(): void {
    this.isDraining = true;
    this.proceed();
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
  }

  private onData(chunk: Buffer): void {
    this.parser.push(chunk);
    if (this.isAnswering && this.parser.pendingBytes > MAX_WAITING_REQUEST_BYTES) this.socket.pause();
    this.proceed();
  }

  /** Starts the next answer, or ends the connection when there will be none. */
  private proceed(): void {
    if (this.isAnswering || this.socket.destroyed) return;
    let request: IncomingRequest | undefined;
    try {
      request = this.isDraining ? undefined : this.parser.next();
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.context.counters.rejectedFrames++;
      this.context.log.debug({ remote: this.remote, err: error }, 'dropped a child that sent no piece request');
      this.destroy();
      return;
    }
    if (request === undefined) {
      // A child of the original keeps its end of an idle connection open until it wants to use it again.
      if (this.isDraining) this.socket.destroySoon();
      else if (this.hasInputEnded) this.socket.end();
      return;
    }
    clearTimeout(this.idleTimer);
    this.isAnswering = true;
    this.lastAnswer = this.answerAndGoOn(request);
  }

  /** Never rejects. */
  private async answerAndGoOn(request: IncomingRequest): Promise<void> {
    try {
      await this.answer(request);
    } catch (error) {
      // An answer that cannot be completed must not look complete: cut the connection.
      if (!this.socket.destroyed) {
        this.context.log.warn({ remote: this.remote, taskId: request.taskId, err: error }, 'piece could not be sent');
      }
      this.destroy();
    }
    this.isAnswering = false;
    if (this.socket.destroyed) return;
    this.startIdleTimer();
    this.socket.resume();
    this.proceed();
  }

  private async answer(request: IncomingRequest): Promise<void> {
    const { counters } = this.context;
    const opened = await this.open(request);
    if (Buffer.isBuffer(opened)) {
      counters.errorAnswers++;
      await this.withWriteTimeout(() => this.write(opened));
      return;
    }
    try {
      if (this.gone.signal.aborted) return;
      const { piece } = opened;
      const head = encodePieceContentHead(request.kind, piece);
      await this.context.limiter?.take(piece.lengthBytes, this.gone.signal);
      await this.withWriteTimeout(() => this.sendPiece(head, opened));
      counters.answers++;
    } finally {
      opened.release();
    }
  }

  /** The piece, or the frame that says why there is none. */
  private async open(request: IncomingRequest): Promise<OpenPiece | Buffer> {
    const { kind, taskId, pieceNumber } = request;
    try {
      const opened = await this.context.source.open(kind, taskId, pieceNumber, this.gone.signal);
      if (opened !== 'not-found') return opened;
      const text = `piece ${taskId}-${pieceNumber} not found`;
      return encodeErrorFrame({ code: WIRE_ERROR_CODES.notFound, text });
    } catch (error) {
      const failure = DfError.from(error);
      if (!this.gone.signal.aborted) {
        this.context.log.warn({ remote: this.remote, taskId, pieceNumber, err: failure }, 'piece could not be opened');
      }
      return encodeErrorFrame({ code: wireCodeOf(failure), text: failure.message });
    }
  }

  /**
   * Sends head and content. The head and the first part leave in one write; at most {@link READ_AHEAD_BUFFERS} buffers
   * are held, and each goes back to the pool only when the kernel has taken its bytes.
   */
  private async sendPiece(head: Buffer, opened: OpenPiece): Promise<void> {
    const { pool, counters } = this.context;
    const { lengthBytes } = opened.piece;
    const writes: Promise<void>[] = [];
    if (lengthBytes === 0) await this.write(head);
    try {
      for (let sentBytes = 0; sentBytes < lengthBytes || writes.length > 0;) {
        const mayReadAhead = writes.length === 0 || (writes.length < READ_AHEAD_BUFFERS && pool.waiting === 0);
        if (sentBytes >= lengthBytes || !mayReadAhead) {
          await writes.shift();
          continue;
        }
        const buffer = await pool.acquire(this.gone.signal);
        const partBytes = Math.min(pool.bufferBytes, lengthBytes - sentBytes);
        try {
          await readFully(opened.fd, buffer, partBytes, opened.fileOffset + sentBytes);
        } catch (error) {
          if (error instanceof ShortReadError) counters.shortReads++;
          pool.release(buffer);
          throw error;
        }
        if (sentBytes === 0) {
          this.socket.cork();
          this.socket.write(head);
        }
        const writing = this.write(buffer.subarray(0, partBytes)).finally(() => pool.release(buffer));
        // Awaited below or in the loop; until then a failure must not count as unhandled.
        writing.catch(() => undefined);
        writes.push(writing);
        if (sentBytes === 0) this.socket.uncork();
        sentBytes += partBytes;
        counters.bytesSent += partBytes;
      }
    } finally {
      // After a failure: the socket is going to be destroyed, which settles what is still being written.
      await Promise.allSettled(writes);
    }
  }

  /** Resolves when the kernel has taken all bytes. */
  private write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Bounds what a child that does not read can hold. */
  private async withWriteTimeout(send: () => Promise<void>): Promise<void> {
    const { writeTimeoutMs, counters, log } = this.context;
    const timer = setTimeout(() => {
      counters.timeouts++;
      log.warn({ remote: this.remote, writeTimeoutMs }, 'child did not take its answer in time');
      this.destroy();
    }, writeTimeoutMs);
    try {
      await send();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs from the last answer to the next whole request. */
  private startIdleTimer(): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => this.destroy(), this.context.idleTimeoutMs);
    this.idleTimer.unref();
  }
}

/** The file is shorter than the journal says. */
class ShortReadError extends Error {
  override readonly name = 'ShortReadError';
}

/** @throws ShortReadError when the file ends early: nothing of the part may be sent then */
async function readFully(fd: number, buffer: Buffer, lengthBytes: number, position: number): Promise<void> {
  for (let done = 0; done < lengthBytes;) {
    const bytes = await readOnce(fd, buffer, done, lengthBytes - done, position + done);
    if (bytes === 0) throw new ShortReadError(`file ends at ${position + done}, ${lengthBytes - done} bytes too early`);
    done += bytes;
  }
}

function readOnce(fd: number, buffer: Buffer, at: number, lengthBytes: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, at, lengthBytes, position, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

function wireCodeOf(error: DfError): number {
  switch (error.code) {
    case 'not-found':
      return WIRE_ERROR_CODES.notFound;
    case 'invalid-argument':
      return WIRE_ERROR_CODES.invalidArgument;
    default:
      return WIRE_ERROR_CODES.internal;
  }
}
