import { DfError } from '@dragonfly/errors';
import { piecesOfRange, type ByteRange, type PieceSpan } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import type { Logger } from '@dragonfly/telemetry';
import { unlessAborted } from '../backoff.js';
import { isContentChange } from '../source/source-plan.js';
import { Attempt } from './attempt.js';
import type { AttemptServices } from './attempt-services.js';
import { resolveRange } from './byte-range.js';
import { asksAlike, type DownloadRequest } from './download-request.js';
import { PieceTracker } from './piece-tracker.js';
import { markFailed, type PreparedTask } from './preparation.js';
import { SharedRate } from './shared-rate.js';
import { noTraffic, type Traffic, type TrafficOrigin } from './traffic.js';

/** Attempts one request may begin: its own, and one more when the origin's content changed under it. */
const MAX_OWN_ATTEMPTS = 2;

/** What a request is told when its task is known, before any piece. */
export interface StartedInfo {
  readonly task: StoredTask;
  readonly peerId: string;
  /** The bytes asked for; undefined: all. */
  readonly range: ByteRange | undefined;
  /** Undefined while the length of the content is unknown. */
  readonly wanted: PieceSpan | undefined;
  /** Everything asked for was in the store already. */
  readonly isFinished: boolean;
}

/** Callbacks of one request; they must not block. */
export interface DownloadObserver {
  started?(info: StartedInfo): void;
  piece?(record: PieceRecord, origin: TrafficOrigin): void;
}

export interface DownloadResult {
  readonly task: StoredTask;
  readonly range: ByteRange | undefined;
  readonly traffic: Traffic;
  /** Everything was in the store already; nobody was asked. */
  readonly isLocalHit: boolean;
}

export interface TaskRunServices {
  readonly attempts: AttemptServices;
  prepare(request: DownloadRequest, signal: AbortSignal): Promise<PreparedTask>;
  /** Whether schedulers are asked for a request of so many bytes. */
  usesScheduler(request: DownloadRequest, wantedBytes: number | undefined): boolean;
  discard(request: DownloadRequest): Promise<void>;
  readonly log: Logger;
}

/** The origin is being asked about the content, or was. */
interface Preparation {
  readonly request: DownloadRequest;
  /** Of that request. */
  readonly signal: AbortSignal;
  readonly prepared: Promise<PreparedTask>;
}

interface RunningAttempt {
  readonly request: DownloadRequest;
  readonly attempt: Attempt;
  readonly finished: Promise<void>;
  readonly stop: AbortController;
  readonly rate: SharedRate;
  users: number;
}

/** A stored content that the origin no longer has. */
interface Discarded {
  readonly task: StoredTask;
  readonly done: Promise<void>;
}

/**
 * All that goes on about one task in this process. Requests that come together share one download: each hears of its
 * progress, and the download stops when the last of them has gone.
 */
export class TaskRun {
  private readonly attempts = new Set<RunningAttempt>();
  private preparing: Preparation | undefined;
  private readonly stopped = new AbortController();
  /** How the latest download ended that did not bring its pieces. */
  private failed: { readonly task: StoredTask; readonly error: DfError } | undefined;
  /** The latest content that was thrown away because the origin changed it. */
  private discarded: Discarded | undefined;
  /** Requests being served; the owner keeps the count. */
  users = 0;

  constructor(private readonly services: TaskRunServices) {}

  get isDownloading(): boolean {
    return this.attempts.size > 0;
  }

  /** Takes no further request: see `abort`. */
  get isAborted(): boolean {
    return this.stopped.signal.aborted;
  }

  /** Ends every request and download of the task. */
  abort(reason: DfError): void {
    this.stopped.abort(reason);
    for (const running of this.attempts) running.stop.abort(reason);
  }

  /** Resolves when nothing is under way any more. */
  async whenQuiet(): Promise<void> {
    await Promise.allSettled([...this.attempts].map((running) => running.finished));
  }

  /**
   * The last request has gone. Only now is the task marked as failed: it takes no pieces then, and while others are
   * served it must.
   */
  async close(): Promise<void> {
    const { failed } = this;
    try {
      if (failed !== undefined) await markFailed(failed.task, failed.error);
    } catch (error) {
      this.services.log.warn({ taskId: failed?.task.id, err: error }, 'a failure was not journalled');
    }
    await this.whenQuiet();
  }

  /**
   * Serves one request.
   * @throws DfError why the pieces could not be had; `cancelled` or `deadline-exceeded` by the signal
   */
  async serve(request: DownloadRequest, observer: DownloadObserver, outer: AbortSignal): Promise<DownloadResult> {
    const signal = AbortSignal.any([outer, this.stopped.signal]);
    for (let own = 1; ; own += 1) {
      let task: StoredTask | undefined;
      try {
        ({ task } = await this.prepare(request, signal));
        return await this.serveTask(task, request, observer, signal, own === 1);
      } catch (caught) {
        const error = signal.aborted ? DfError.from(signal.reason, 'cancelled') : DfError.from(caught);
        if (signal.aborted || task === undefined || own >= MAX_OWN_ATTEMPTS) throw error;
        if (!isContentChange(error) && this.discarded?.task !== task) throw error;
        await unlessAborted(this.discard(task, request), signal);
      }
    }
  }

  /**
   * Throws the old content away, once however many requests have noticed that it is old; all of them begin again with the
   * new one.
   */
  private discard(task: StoredTask, request: DownloadRequest): Promise<void> {
    if (this.discarded?.task !== task) {
      this.services.log.info({ taskId: request.taskId }, 'the content changed at the origin, beginning again');
      this.preparing = undefined;
      const done = this.services.discard(request);
      this.discarded = { task, done };
      const reason = new DfError('cancelled', 'the content changed at the origin');
      for (const running of this.attempts) if (running.attempt.task === task) running.stop.abort(reason);
    }
    return this.discarded.done;
  }

  private async serveTask(
    task: StoredTask,
    request: DownloadRequest,
    observer: DownloadObserver,
    signal: AbortSignal,
    isFirst: boolean,
  ): Promise<DownloadResult> {
    const unpin = task.pin();
    const traffic = noTraffic();
    const length = task.contentLengthBytes;
    const range = request.range === undefined || length === undefined ? undefined : resolveRange(request.range, length);
    const wanted =
      range === undefined || length === undefined ? undefined : piecesOfRange(range, length, task.pieceLengthBytes);
    const early: [PieceRecord, TrafficOrigin][] = [];
    let hasStarted = false;
    const tracker = new PieceTracker(task, wanted, (record, origin) => {
      traffic[origin] += record.lengthBytes;
      if (hasStarted) observer.piece?.(record, origin);
      else early.push([record, origin]);
    });
    try {
      const isLocalHit = tracker.check();
      const joined = isLocalHit ? undefined : this.join(request, tracker, task);
      const peerId = joined?.running.attempt.peerId ?? this.services.attempts.newPeerId();
      if (isFirst) observer.started?.({ task, peerId, range, wanted, isFinished: isLocalHit });
      hasStarted = true;
      for (const [record, origin] of early) observer.piece?.(record, origin);
      if (joined !== undefined) await this.await(joined, request, tracker, task, signal);
      if (!task.isComplete && task.contentLengthBytes !== undefined && task.missingPieces().length === 0) {
        await task.complete();
      }
      this.failed = undefined;
      return {
        task,
        range:
          request.range === undefined
            ? undefined
            : (range ?? resolveRange(request.range, task.contentLengthBytes ?? 0)),
        traffic,
        isLocalHit,
      };
    } finally {
      tracker.stop();
      unpin();
    }
  }

  /** Of requests that come together one asks the origin, the others wait for what it hears. */
  private async prepare(request: DownloadRequest, signal: AbortSignal): Promise<PreparedTask> {
    for (let other = this.preparing; other !== undefined; other = this.preparing) {
      try {
        const prepared = await unlessAborted(other.prepared, signal);
        if (!prepared.task.isDeleted) return prepared;
      } catch (error) {
        // What the origin said to other headers, or after another's patience, says nothing about this request.
        if (signal.aborted || (!other.signal.aborted && asksAlike(other.request, request))) throw error;
      }
      if (this.preparing === other) this.preparing = undefined;
    }
    const own = { request, signal, prepared: this.services.prepare(request, signal) };
    this.preparing = own;
    try {
      return await own.prepared;
    } catch (error) {
      if (this.preparing === own) this.preparing = undefined;
      throw error;
    }
  }

  /** Waits until the pieces are there, if need be by an attempt of its own when another's fails. */
  private async await(
    first: { readonly running: RunningAttempt; readonly isOwn: boolean },
    request: DownloadRequest,
    tracker: PieceTracker,
    task: StoredTask,
    signal: AbortSignal,
  ): Promise<void> {
    let joined = first;
    for (;;) {
      try {
        await unlessAborted(Promise.race([joined.running.finished, tracker.completed]), signal);
        if (tracker.check()) return;
        if (joined.isOwn) throw new DfError('internal', 'a download ended without all its pieces');
      } catch (caught) {
        if (signal.aborted || joined.isOwn) {
          const error = DfError.from(caught);
          if (joined.isOwn && !signal.aborted) this.attemptFailed(task, error);
          throw error;
        }
        // It would hear the same, and with many waiting the origin would be asked once for each.
        if (asksAlike(joined.running.request, request)) {
          this.attemptFailed(task, DfError.from(caught));
          throw caught;
        }
      } finally {
        this.leave(joined.running, request);
      }
      joined = this.join(request, tracker, task);
    }
  }

  private attemptFailed(task: StoredTask, error: DfError): void {
    this.preparing = undefined;
    this.failed = isContentChange(error) ? undefined : { task, error };
  }

  /** Takes part in a running attempt that brings all that is missing, or begins one. */
  private join(
    request: DownloadRequest,
    tracker: PieceTracker,
    task: StoredTask,
  ): { running: RunningAttempt; isOwn: boolean } {
    const missing = tracker.missing();
    for (const running of this.attempts) {
      const isOfTask = running.attempt.task === task && !running.stop.signal.aborted;
      if (isOfTask && covers(running.attempt.wanted, missing)) {
        running.users += 1;
        running.rate.add(request, request.rateLimitBytesPerSecond);
        return { running, isOwn: false };
      }
    }
    return { running: this.begin(request, missing, task), isOwn: true };
  }

  private begin(request: DownloadRequest, missing: readonly number[] | undefined, task: StoredTask): RunningAttempt {
    const first = missing?.[0];
    const last = missing?.at(-1);
    const isAll = missing === undefined || missing.length === task.missingPieces().length;
    const wanted = isAll || first === undefined || last === undefined ? undefined : { first, count: last - first + 1 };
    const wantedBytes =
      request.range === undefined || task.contentLengthBytes === undefined
        ? task.contentLengthBytes
        : resolveRange(request.range, task.contentLengthBytes).length;
    const stop = new AbortController();
    const rate = new SharedRate();
    rate.add(request, request.rateLimitBytesPerSecond);
    const attempt = new Attempt(
      {
        task,
        request,
        wanted,
        usesScheduler: this.services.usesScheduler(request, wantedBytes),
        limiters: [rate.limiter],
        log: this.services.log.child({ taskId: task.id }),
      },
      this.services.attempts,
    );
    const running: RunningAttempt = { request, attempt, finished: attempt.run(stop.signal), stop, rate, users: 1 };
    this.attempts.add(running);
    const forget = (): void => {
      this.attempts.delete(running);
    };
    running.finished.then(forget, forget);
    return running;
  }

  private leave(running: RunningAttempt, request: DownloadRequest): void {
    running.users -= 1;
    running.rate.remove(request);
    // One that has all its pieces only says goodbye to the scheduler, and may do so in its own time.
    if (running.users > 0 || running.attempt.isDone()) return;
    running.stop.abort(new DfError('cancelled', 'nobody wants the download any more'));
  }
}

/** Whether an attempt for `wanted` (undefined: everything) brings all of `missing` (undefined: unknown). */
function covers(wanted: PieceSpan | undefined, missing: readonly number[] | undefined): boolean {
  if (wanted === undefined) return true;
  return (
    missing !== undefined && missing.every((number) => number >= wanted.first && number < wanted.first + wanted.count)
  );
}
