import { DfError } from '@dragonfly/errors';
import { pieceRange } from '@dragonfly/ids';
import type { PieceRecord, PieceWriter, StoredTask } from '@dragonfly/piece-store';
import type { SourceBody } from '@dragonfly/sources';
import type { Logger } from '@dragonfly/telemetry';
import type { BufferPool, RateLimiter } from '@dragonfly/vortex';
import { backoffMs, sleep } from '../backoff.js';
import { PiecePump } from './piece-pump.js';
import type { RequestGate } from './request-gate.js';
import type { SourceAccess } from './source-plan.js';

/** Pause before a broken piece is tried again: 200 ms, doubling up to 5 s. */
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5000;
/** For bytes that nobody keeps. */
const SKIP_BUFFER_BYTES = 256 * 1024;
/** Tries of one piece, however much each of them brought. */
const MAX_TRIES = 20;

export interface SourceSessionOptions {
  readonly task: StoredTask;
  readonly access: SourceAccess;
  /** False: the origin is known to send everything whatever is asked. */
  readonly mayUseRanges: boolean;
  readonly concurrency: number;
  /** Tries after one that brought nothing. */
  readonly maxRetries: number;
  readonly limiters: readonly RateLimiter[];
  readonly pool: BufferPool;
  /** How many requests may be open. @default as many as `concurrency` */
  readonly gate?: RequestGate | undefined;
  readonly onPiece: (record: PieceRecord) => void;
  readonly log: Logger;
}

/**
 * Fetches pieces from the origin: each with a request of its own where the origin has ranges, else all of them out of one
 * stream. A connection that breaks is continued where it broke, so no byte is fetched twice.
 */
export class SourceSession {
  constructor(private readonly options: SourceSessionOptions) {}

  /**
   * Brings the missing pieces.
   * @param pieces numbers in ascending order; undefined while the content's length is unknown, then everything comes
   * @throws DfError `origin` with what the origin answered, `unavailable`, `deadline-exceeded` (stalled), `cancelled`
   */
  async run(pieces: readonly number[] | undefined, signal: AbortSignal): Promise<void> {
    if (pieces === undefined || !this.options.mayUseRanges) {
      await this.streamWithRetries(pieces, undefined, signal);
      return;
    }
    const whole = await this.fetchByRanges(pieces, signal);
    if (whole !== undefined) await this.streamWithRetries(pieces, whole, signal);
  }

  /**
   * Fetches every piece with a request of its own, several at a time. One goes ahead until the head of an answer shows
   * that the origin really has ranges, before eight connections download everything.
   * @returns the body of the first answer, unread, when the origin sends the whole content instead; nothing is fetched then
   */
  private async fetchByRanges(pieces: readonly number[], signal: AbortSignal): Promise<SourceBody | undefined> {
    const queue = pieces.values();
    const failed = new AbortController();
    const inner = AbortSignal.any([signal, failed.signal]);
    const shown = Promise.withResolvers<void>();
    let hasRanges = false;
    const showRanges = (): void => {
      hasRanges = true;
      shown.resolve();
    };
    const fetchAll = async (): Promise<SourceBody | undefined> => {
      for (const number of queue) {
        inner.throwIfAborted();
        const body = await this.fetchPiece(number, inner, showRanges);
        if (body === undefined) continue;
        if (!hasRanges) return body;
        body.cancel();
        throw new DfError('origin', 'the origin stopped answering ranges', {
          details: { statusCode: body.statusCode, headers: body.headers, message: 'range ignored' },
        });
      }
      return undefined;
    };
    const ahead = fetchAll().finally(() => shown.resolve());
    const behind = Array.from({ length: Math.min(this.options.concurrency, pieces.length) - 1 }, async () => {
      await shown.promise;
      return hasRanges ? fetchAll() : undefined;
    });
    const bodies = await Promise.allSettled(
      [ahead, ...behind].map((worker) =>
        worker.catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ),
    );
    signal.throwIfAborted();
    // The first failure is the cause, the others are its echo.
    if (failed.signal.aborted) throw failed.signal.reason;
    return bodies
      .map((body) => (body.status === 'fulfilled' ? body.value : undefined))
      .find((body) => body !== undefined);
  }

  /**
   * Fetches one piece by range.
   * @param showRanges called when the origin answers with a range
   * @returns the body, unread, when the origin sends the whole content instead; nothing else is done then
   */
  private async fetchPiece(
    number: number,
    signal: AbortSignal,
    showRanges: () => void,
  ): Promise<SourceBody | undefined> {
    const { task, pool } = this.options;
    const writer = await this.claim(number, signal);
    if (writer === undefined) return undefined;
    const pump = new PiecePump(writer, pool);
    try {
      const whole = await this.fetchByRange(number, pump, signal, showRanges);
      if (whole !== undefined) {
        pump.abort();
        return whole;
      }
      this.options.onPiece(await pump.commit());
      return undefined;
    } catch (error) {
      pump.abort();
      throw task.isDeleted ? new DfError('cancelled', 'the task was deleted', { cause: error }) : error;
    }
  }

  private async fetchByRange(
    number: number,
    pump: PiecePump,
    signal: AbortSignal,
    showRanges: () => void,
  ): Promise<SourceBody | undefined> {
    const { task, limiters, maxRetries, log } = this.options;
    const { offsetBytes, lengthBytes } = pieceRange(number, task.contentLengthBytes ?? 0, task.pieceLengthBytes);
    for (const limiter of limiters) await limiter.take(lengthBytes, signal);
    let fruitless = 0;
    for (let tries = 1; pump.receivedBytes < lengthBytes; tries += 1) {
      const before = pump.receivedBytes;
      try {
        const body = await this.open(signal, {
          startBytes: offsetBytes + before,
          lengthBytes: lengthBytes - before,
        });
        // A 200 that is exactly what was asked for (a content of one piece) is as good as a 206.
        const isWhole = !body.isPartial && !(offsetBytes + before === 0 && lengthBytes === task.contentLengthBytes);
        if (isWhole) return body;
        if (body.isPartial) showRanges();
        try {
          await pump.move(body, lengthBytes, signal);
          if (pump.receivedBytes < lengthBytes) throw new DfError('unavailable', 'the origin ended the body early');
          if (!body.isPartial) await expectEnd(body, lengthBytes, signal);
        } finally {
          body.cancel();
        }
      } catch (caught) {
        const error = DfError.from(caught, 'unavailable');
        fruitless = pump.receivedBytes > before ? 0 : fruitless + 1;
        if (signal.aborted || !isWorthRetrying(error) || fruitless > maxRetries || tries >= MAX_TRIES) throw error;
        log.debug({ piece: number, reason: error.message }, 'origin piece broken, going on where it broke');
        if (!(await sleep(backoffMs(Math.max(1, fruitless), RETRY_FIRST_MS, RETRY_MAX_MS), signal))) throw error;
      }
    }
    return undefined;
  }

  /**
   * A stream cannot be continued, only begun again; what is in the store by then is read past.
   * @param opened the first stream, when there is one already
   */
  private async streamWithRetries(
    pieces: readonly number[] | undefined,
    opened: SourceBody | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    let wanted = pieces;
    let body = opened;
    for (let tries = 1, failures = 0; ; tries += 1) {
      try {
        const givenUp = await this.stream(wanted, body, signal);
        if (givenUp.length === 0) return;
        if (tries >= MAX_TRIES) throw new DfError('unavailable', `piece ${givenUp[0]} was given up again and again`);
        wanted = givenUp;
      } catch (caught) {
        const error = DfError.from(caught, 'unavailable');
        failures += 1;
        if (signal.aborted || !isWorthRetrying(error) || failures > this.options.maxRetries || tries >= MAX_TRIES) {
          throw error;
        }
        this.options.log.debug({ reason: error.message }, 'origin stream broken, beginning again');
        if (!(await sleep(backoffMs(failures, RETRY_FIRST_MS, RETRY_MAX_MS), signal))) throw error;
      }
      body = undefined;
    }
  }

  /**
   * Reads the content from its beginning, once, and keeps what is missing.
   * @returns pieces that another download of this process began and gave up after they had passed by here
   */
  private async stream(
    pieces: readonly number[] | undefined,
    opened: SourceBody | undefined,
    signal: AbortSignal,
  ): Promise<number[]> {
    const body = opened ?? (await this.open(signal));
    const wanted = pieces === undefined ? undefined : new Set(pieces);
    const elsewhere: number[] = [];
    const { task } = this.options;
    try {
      for (let number = 0; ; number += 1) {
        const known = task.contentLengthBytes;
        const lengthBytes =
          known === undefined
            ? task.pieceLengthBytes
            : Math.min(task.pieceLengthBytes, known - number * task.pieceLengthBytes);
        if (lengthBytes <= 0 || wanted?.size === 0) break;
        const received = await this.streamPiece(number, lengthBytes, body, elsewhere, signal);
        wanted?.delete(number);
        if (received < lengthBytes) {
          if (known !== undefined) throw new DfError('unavailable', 'the origin ended the body early');
          await task.setContentLength(number * task.pieceLengthBytes + received);
          break;
        }
      }
    } catch (error) {
      throw task.isDeleted ? new DfError('cancelled', 'the task was deleted', { cause: error }) : error;
    } finally {
      body.cancel();
    }
    return this.awaitElsewhere(elsewhere, signal);
  }

  /** @returns those that were given up */
  private async awaitElsewhere(numbers: readonly number[], signal: AbortSignal): Promise<number[]> {
    const { task } = this.options;
    const givenUp: number[] = [];
    for (const number of numbers) {
      try {
        await task.waitForPiece(number, signal);
      } catch (error) {
        if (task.isDeleted || signal.aborted) throw error;
        givenUp.push(number);
      }
    }
    return givenUp;
  }

  /** @returns how many bytes of the piece the body had */
  private async streamPiece(
    number: number,
    lengthBytes: number,
    body: SourceBody,
    elsewhere: number[],
    signal: AbortSignal,
  ): Promise<number> {
    const { task, pool, limiters } = this.options;
    for (const limiter of limiters) await limiter.take(lengthBytes, signal);
    const known = task.contentLengthBytes;
    const isLast = known !== undefined && number * task.pieceLengthBytes + lengthBytes >= known;
    const writer = task.beginPiece(number);
    if (writer === 'present' || writer === 'in-progress') {
      if (writer === 'in-progress') elsewhere.push(number);
      const skipped = await skip(body, lengthBytes, signal);
      if (isLast && skipped === lengthBytes) await expectEnd(body, known, signal);
      return skipped;
    }
    const pump = new PiecePump(writer, pool);
    try {
      await pump.move(body, lengthBytes, signal);
      if (pump.receivedBytes === 0 || (pump.receivedBytes < lengthBytes && task.contentLengthBytes !== undefined)) {
        pump.abort();
        return pump.receivedBytes;
      }
      // Before it counts: with its last piece the content is complete for everybody.
      if (isLast) await expectEnd(body, known, signal);
      this.options.onPiece(await pump.commit());
      return pump.receivedBytes;
    } catch (error) {
      pump.abort();
      throw error;
    }
  }

  /** @returns a writer, or undefined once the piece is there (another download of this process may have brought it) */
  private async claim(number: number, signal: AbortSignal): Promise<PieceWriter | undefined> {
    const { task } = this.options;
    for (;;) {
      signal.throwIfAborted();
      const writer = task.beginPiece(number);
      if (writer === 'present') return undefined;
      if (writer !== 'in-progress') return writer;
      try {
        await task.waitForPiece(number, signal);
        return undefined;
      } catch (error) {
        // Given up there: it is ours now. Unless the task or this download is over.
        if (task.isDeleted || signal.aborted) throw error;
      }
    }
  }

  private async open(signal: AbortSignal, range?: { startBytes: number; lengthBytes: number }): Promise<SourceBody> {
    const { access, gate } = this.options;
    await gate?.enter(signal);
    try {
      const body = await access.backend.read({ ...access.request, signal, ...(range === undefined ? {} : { range }) });
      return gate === undefined ? body : leavingAtEnd(body, gate);
    } catch (error) {
      gate?.leave();
      throw error;
    }
  }
}

/** A body whose place at the gate is free when it is cancelled, which every body is that was opened here. */
function leavingAtEnd(body: SourceBody, gate: RequestGate): SourceBody {
  let hasLeft = false;
  return {
    statusCode: body.statusCode,
    headers: body.headers,
    isPartial: body.isPartial,
    contentLengthBytes: body.contentLengthBytes,
    totalLengthBytes: body.totalLengthBytes,
    readInto: (buffer, signal) => body.readInto(buffer, signal),
    pour: (receiver, signal) => body.pour(receiver, signal),
    cancel: () => {
      body.cancel();
      if (!hasLeft) gate.leave();
      hasLeft = true;
    },
  };
}

/** Reads past bytes that are in the store already. */
/**
 * The length was learned from another host, or long ago. An origin that tells none is of the same content only when it ends
 * there; one that tells its length has been compared by the backend.
 * @throws DfError `origin` for a content that has changed
 */
async function expectEnd(body: SourceBody, lengthBytes: number, signal: AbortSignal): Promise<void> {
  if (body.contentLengthBytes !== undefined) return;
  if ((await body.readInto(Buffer.allocUnsafe(1), signal)) === 0) return;
  throw new DfError('origin', `the source has more than the ${lengthBytes} bytes that its content had`, {
    details: { statusCode: body.statusCode, headers: body.headers, message: 'changed length', changed: true },
  });
}

async function skip(body: SourceBody, lengthBytes: number, signal: AbortSignal): Promise<number> {
  const buffer = Buffer.allocUnsafe(SKIP_BUFFER_BYTES);
  let skipped = 0;
  while (skipped < lengthBytes) {
    const count = await body.readInto(buffer.subarray(0, Math.min(buffer.length, lengthBytes - skipped)), signal);
    if (count === 0) break;
    skipped += count;
  }
  return skipped;
}

/** What the origin decided (404, 403, changed content) stays decided; 5xx, 429 and bodies that end early may pass. */
function isWorthRetrying(error: DfError): boolean {
  if (error.code !== 'origin') return error.retryable;
  if (error.details['changed'] === true) return false;
  const status = error.details['statusCode'];
  return typeof status !== 'number' || status < 300 || status >= 500 || status === 408 || status === 429;
}
