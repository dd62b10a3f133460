import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import type { Database } from '@dragonfly/persistence';
import {
  GiveUpError,
  type JobEvent,
  type JobHandler,
  JobQueue,
  type JobRequest,
  type JobSnapshot,
  type JsonObject,
  KEEP_FINISHED_MS,
  type ScheduleRequest,
  type WorkOptions,
} from './job-queue.js';
import { QueueRows, type TakenJob } from './queue-rows.js';
import { backoffAfter, checkRequest, checkSchedule } from './requests.js';
import { abortCancelled, JobListeners, type RunningJob } from './running-jobs.js';

export interface DatabaseQueueOptions {
  database: Database;
  /** Name of the queue. */
  name: string;
  /**
   * No other process uses the queue (a SQLite file): what an earlier process held is taken up at once, and nobody
   * looks for entries that others put in. @default false
   */
  isSoleProcess?: boolean;
  /** An entry whose worker has not been heard of for so long is run again, in ms. @default 30000 */
  leaseMs?: number;
  /** Pause between two looks for entries of other processes, in ms. @default 1000 */
  pollMs?: number;
  /** Told about a database that is away and listeners that threw. @default ignored */
  onError?: (error: unknown) => void;
}

const DEFAULT_LEASE_MS = 30_000;
const DEFAULT_POLL_MS = 1_000;
/** Pause between two looks for schedules and due entries when nothing is known to become due. */
const IDLE_MS = 60_000;
/** Pause between two sweeps of finished entries. */
const SWEEP_INTERVAL_MS = 600_000;
/** Longest wait for handlers that do not heed their signal when the queue closes. */
const CLOSE_GRACE_MS = 5_000;
/** An entry is given up when so many workers died with it, beside its failures. */
const MAX_LOST_RUNS = 3;

interface Running extends RunningJob {
  readonly ended: Promise<void>;
}

/**
 * The queue of the embedded set-up: entries are rows, workers run in this process. Several processes may share the
 * database; clocks must then agree to a fraction of the lease.
 */
export class DatabaseJobQueue extends JobQueue {
  private readonly rows: QueueRows;
  private readonly owner = randomUUID();
  /** What runs belongs to no request that happened to put something in: no trace, no turn. */
  private readonly outside = AsyncLocalStorage.snapshot();
  private readonly listeners: JobListeners;
  private readonly running = new Map<string, Running>();
  private readonly leaseMs: number;
  private readonly onError: (error: unknown) => void;
  private handlers: Readonly<Record<string, JobHandler>> = {};
  private concurrency = 0;
  private isClosed = false;
  private isLooking = false;
  private mustLookAgain = false;
  private looked: Promise<void> = Promise.resolve();
  private lookTimer: NodeJS.Timeout | undefined;
  private renewTimer: NodeJS.Timeout | undefined;
  private sweptAtMs = -Infinity;
  /** When to look for entries that ended here although that could not be written: their leases are over then. */
  private unsettledUntilMs = Infinity;

  constructor(private readonly options: DatabaseQueueOptions) {
    super();
    this.rows = new QueueRows(options.database, options.name);
    this.leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
    this.onError = options.onError ?? ((): void => undefined);
    this.listeners = new JobListeners(this.onError);
  }

  override async enqueue(request: JobRequest): Promise<string> {
    this.checkOpen();
    const checked = checkRequest(request);
    await this.rows.insert(checked, Date.now());
    this.look();
    return checked.id;
  }

  override async find(id: string): Promise<JobSnapshot | undefined> {
    this.checkOpen();
    return this.rows.find(id);
  }

  override async cancel(id: string): Promise<boolean> {
    this.checkOpen();
    const was = await this.rows.cancel(id, Date.now());
    if (was === 'waiting') {
      this.listeners.tell({ type: 'cancelled', id });
    } else if (was === 'active') {
      abortCancelled(this.running.get(id));
    }
    return was !== undefined;
  }

  override async schedule(name: string, request: ScheduleRequest): Promise<void> {
    this.checkOpen();
    checkSchedule(name, request);
    await this.rows.putSchedule(name, request, Date.now());
    this.look();
  }

  override async unschedule(name: string): Promise<boolean> {
    this.checkOpen();
    return this.rows.deleteSchedule(name);
  }

  override async schedules(): Promise<string[]> {
    this.checkOpen();
    return this.rows.scheduleNames();
  }

  override async work({ handlers, concurrency = 4 }: WorkOptions): Promise<void> {
    this.checkOpen();
    if (this.options.isSoleProcess) {
      await this.rows.releaseAll(Date.now());
    }
    this.handlers = handlers;
    this.concurrency = concurrency;
    this.renewTimer = setInterval(() => void this.renew(), Math.max(10, Math.floor(this.leaseMs / 3)));
    this.renewTimer.unref();
    this.look();
  }

  override onEvent(listener: (event: JobEvent) => void): () => void {
    return this.listeners.add(listener);
  }

  override async close(): Promise<void> {
    if (this.isClosed) {
      return;
    }
    this.isClosed = true;
    clearTimeout(this.lookTimer);
    clearInterval(this.renewTimer);
    await this.looked;
    const ends = [...this.running.values()].map(({ abort, ended }) => {
      abort.abort(new DfError('unavailable', 'the queue is closing'));
      return ended;
    });
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, CLOSE_GRACE_MS);
    await Promise.race([Promise.all(ends), grace.promise]);
    clearTimeout(timer);
  }

  private checkOpen(): void {
    if (this.isClosed) {
      throw new DfError('unavailable', `queue ${this.options.name} is closed`);
    }
  }

  /** Looks for entries to run, unless that is going on; then once more afterwards. */
  private look(): void {
    if (this.isClosed || this.concurrency === 0) {
      return;
    }
    if (this.isLooking) {
      this.mustLookAgain = true;
      return;
    }
    this.isLooking = true;
    clearTimeout(this.lookTimer);
    this.looked = this.outside(() => this.lookUntilIdle());
  }

  private async lookUntilIdle(): Promise<void> {
    let waitMs = this.options.pollMs ?? DEFAULT_POLL_MS;
    if (Date.now() >= this.unsettledUntilMs) {
      this.unsettledUntilMs = Infinity;
    }
    try {
      do {
        this.mustLookAgain = false;
        const dueInMs = await this.takeWhatIsDue();
        waitMs = this.options.isSoleProcess ? Math.min(IDLE_MS, dueInMs) : Math.min(waitMs, dueInMs);
      } while (this.mustLookAgain && !this.isClosed);
    } catch (error) {
      this.onError(error);
    }
    this.isLooking = false;
    if (!this.isClosed) {
      waitMs = Math.min(waitMs, this.unsettledUntilMs - Date.now());
      this.lookTimer = setTimeout(() => this.look(), Math.max(1, waitMs));
      this.lookTimer.unref();
    }
  }

  /** @returns time until the next entry or schedule that is known, in ms */
  private async takeWhatIsDue(): Promise<number> {
    const nowMs = Date.now();
    if (nowMs - this.sweptAtMs > SWEEP_INTERVAL_MS) {
      this.sweptAtMs = nowMs;
      await this.rows.sweep(nowMs - KEEP_FINISHED_MS);
    }
    let dueInMs = (await this.rows.fireSchedules(nowMs)) ?? IDLE_MS;
    while (this.running.size < this.concurrency && !this.isClosed) {
      const taken = await this.rows.take(this.owner, [...this.running.keys()], this.leaseMs, Date.now());
      if ('waitMs' in taken) {
        dueInMs = Math.min(dueInMs, taken.waitMs ?? IDLE_MS);
        break;
      }
      this.start(taken);
    }
    return dueInMs;
  }

  private start(job: TakenJob): void {
    const abort = new AbortController();
    const entry: Running = { abort, isCancelled: false, ended: this.run(job, abort.signal) };
    this.running.set(job.id, entry);
  }

  private async run(job: TakenJob, signal: AbortSignal): Promise<void> {
    // Not before `start` has noted the entry.
    await Promise.resolve();
    this.listeners.tell({ type: 'active', id: job.id });
    try {
      await this.settle(job, await this.outcomeOf(job, signal));
    } catch (error) {
      // The row stays active and is taken up, here or elsewhere, when its lease is over.
      this.unsettledUntilMs = Math.min(this.unsettledUntilMs, Date.now() + this.leaseMs);
      this.onError(error);
    }
    this.running.delete(job.id);
    this.look();
  }

  private async outcomeOf(job: TakenJob, signal: AbortSignal): Promise<Outcome> {
    const handler = this.handlers[job.kind];
    if (!handler) {
      return { end: 'failed', error: `nobody runs jobs of the kind ${job.kind}`, isFinal: true };
    }
    if (job.attempt > job.maxAttempts + MAX_LOST_RUNS) {
      return { end: 'failed', error: `its workers were lost ${job.attempt - 1} times`, isFinal: true };
    }
    try {
      const result = await handler({
        id: job.id,
        kind: job.kind,
        payload: job.payload,
        attempt: job.attempt,
        signal,
        progress: (value) => this.noteProgress(job.id, value),
      });
      return this.running.get(job.id)?.isCancelled ? { end: 'cancelled' } : { end: 'completed', result: result ?? {} };
    } catch (error) {
      if (this.running.get(job.id)?.isCancelled) {
        return { end: 'cancelled' };
      }
      if (signal.aborted) {
        return { end: 'interrupted' };
      }
      return {
        end: 'failed',
        error: Error.isError(error) ? error.message : String(error),
        isFinal: error instanceof GiveUpError,
      };
    }
  }

  private async settle(job: TakenJob, outcome: Outcome): Promise<void> {
    const { id } = job;
    const nowMs = Date.now();
    const released = { owner: null, leaseUntil: null };
    switch (outcome.end) {
      case 'completed':
        await this.rows.settle(this.owner, id, {
          ...released,
          state: 'completed',
          result: outcome.result,
          finishedAt: nowMs,
        });
        this.listeners.tell({ type: 'completed', id });
        return;
      case 'cancelled':
        await this.rows.settle(this.owner, id, { ...released, state: 'cancelled', finishedAt: nowMs });
        this.listeners.tell({ type: 'cancelled', id });
        return;
      case 'interrupted':
        // Not its fault: the run does not count.
        await this.rows.settle(this.owner, id, {
          ...released,
          state: 'waiting',
          runAt: nowMs,
          attempt: job.attempt - 1,
        });
        return;
      case 'failed': {
        const isOver = outcome.isFinal || job.attempt >= job.maxAttempts;
        await this.rows.settle(this.owner, id, {
          ...released,
          error: outcome.error,
          ...(isOver
            ? { state: 'failed', finishedAt: nowMs }
            : { state: 'waiting', runAt: nowMs + backoffAfter(job.attempt, job.backoffMs) }),
        });
        this.listeners.tell({ type: isOver ? 'failed' : 'retrying', id });
      }
    }
  }

  private async noteProgress(id: string, progress: JsonObject): Promise<void> {
    if (await this.rows.settle(this.owner, id, { progress })) {
      this.listeners.tell({ type: 'progress', id });
    }
  }

  private async renew(): Promise<void> {
    const ids = [...this.running.keys()];
    if (ids.length === 0) {
      return;
    }
    try {
      const held = await this.rows.renew(this.owner, ids, Date.now() + this.leaseMs);
      for (const id of ids) {
        const isCancelled = held.get(id);
        if (isCancelled === undefined) {
          this.running.get(id)?.abort.abort(new DfError('unavailable', 'the lease of the job was lost'));
        } else if (isCancelled) {
          abortCancelled(this.running.get(id));
        }
      }
    } catch (error) {
      this.onError(error);
    }
  }
}

type Outcome =
  | { end: 'completed'; result: JsonObject }
  | { end: 'cancelled' }
  | { end: 'interrupted' }
  | { end: 'failed'; error: string; isFinal: boolean };
