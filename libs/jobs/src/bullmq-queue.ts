import { DfError } from '@dragonfly/errors';
import { connectionOptions, type RedisPlace } from '@dragonfly/kv';
import { type Job, type JobsOptions, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import {
  GiveUpError,
  type JobEvent,
  JobQueue,
  type JobRequest,
  type JobSnapshot,
  type JobState,
  type JsonObject,
  KEEP_FINISHED_MS,
  type ScheduleRequest,
  type WorkOptions,
} from './job-queue.js';
import { backoffAfter, checkRequest, checkSchedule } from './requests.js';
import { abortCancelled, JobListeners, type RunningJob } from './running-jobs.js';

export interface BullmqQueueOptions extends RedisPlace {
  /** Number of the database. @default 0 */
  db?: number;
  /** Name of the queue. */
  name: string;
  /** Begin of every key. @default "dragonfly" */
  prefix?: string;
  /** An entry whose worker has not been heard of for so long is run again, in ms. @default 30000 */
  leaseMs?: number;
  /** Longest wait for the answer to one call, in ms. @default 5000 */
  commandTimeoutMs?: number;
  /** Told about lost connections and listeners that threw. @default ignored */
  onError?: (error: unknown) => void;
}

const DEFAULT_LEASE_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 5_000;
/** Pause between two looks whether an entry that runs here was cancelled elsewhere. */
const CANCEL_POLL_MS = 500;
/** Pause before a reconnect, in ms. */
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 3_000;
/** Longest wait for handlers that do not heed their signal when the queue closes. */
const CLOSE_GRACE_MS = 5_000;
/** An entry is given up when so many workers died with it. */
const MAX_LOST_RUNS = 3;
/** Schedules listed at most. */
const MAX_SCHEDULES = 10_000;
/** Text of the failure by which a cancelled entry is told from a failed one. */
const CANCELLED = 'cancelled on request';

/** The queue on Redis, for several managers. */
export class BullmqJobQueue extends JobQueue {
  private readonly connection: Redis;
  private readonly queue: Queue<JsonObject, JsonObject, string>;
  private readonly listeners: JobListeners;
  private readonly running = new Map<string, RunningJob>();
  private readonly onError: (error: unknown) => void;
  private worker: Worker<JsonObject, JsonObject, string> | undefined;
  private cancelTimer: NodeJS.Timeout | undefined;
  /** A look that waits for the connection: further ones would pile up behind it. */
  private isLookingForCancelled = false;
  private isClosed = false;

  constructor(private readonly options: BullmqQueueOptions) {
    super();
    this.onError = options.onError ?? ((): void => undefined);
    this.listeners = new JobListeners(this.onError);
    this.connection = this.connect();
    this.queue = new Queue(options.name, { connection: this.connection, prefix: this.prefix });
    this.queue.on('error', this.onError);
  }

  override async enqueue(request: JobRequest): Promise<string> {
    const checked = checkRequest(request);
    const { id, kind, payload, delayMs } = checked;
    await this.call('enqueue', async () => {
      // An id of an entry that was cancelled before it ran is taken too.
      if ((await this.connection.exists(this.tombstone(id))) === 0) {
        await this.queue.add(kind, payload, { jobId: id, delay: delayMs, ...jobOptions(checked) });
      }
    });
    return id;
  }

  override async find(id: string): Promise<JobSnapshot | undefined> {
    return this.call('find', async () => {
      // The state first: an entry that is seen as completed has its result.
      const state = await this.queue.getJobState(id);
      const job = await this.queue.getJob(id);
      if (!job) {
        const kept = await this.connection.get(this.tombstone(id));
        return kept === null ? undefined : (JSON.parse(kept) as JobSnapshot);
      }
      return snapshotOf(job, stateOf(state, job));
    });
  }

  override async cancel(id: string): Promise<boolean> {
    return this.call('cancel', async () => {
      const job = await this.queue.getJob(id);
      const state = job && stateOf(await job.getState(), job);
      if (!job || (state !== 'waiting' && state !== 'active')) {
        return false;
      }
      if (state === 'waiting' && (await this.removeWaiting(job))) {
        this.listeners.tell({ type: 'cancelled', id });
        return true;
      }
      await this.connection.set(this.cancelMark(id), '1', 'PX', KEEP_FINISHED_MS);
      abortCancelled(this.running.get(id));
      return true;
    });
  }

  override async schedule(name: string, request: ScheduleRequest): Promise<void> {
    checkSchedule(name, request);
    const { cron, everyMs } = request;
    const checked = checkRequest({ ...request, id: 'schedule' });
    await this.call('schedule', () =>
      this.queue.upsertJobScheduler(name, cron === undefined ? { every: everyMs ?? 0 } : { pattern: cron, tz: 'UTC' }, {
        name: request.kind,
        data: request.payload,
        opts: jobOptions(checked),
      }),
    );
  }

  override async unschedule(name: string): Promise<boolean> {
    return this.call('unschedule', () => this.queue.removeJobScheduler(name));
  }

  override async schedules(): Promise<string[]> {
    const found = await this.call('schedules', () => this.queue.getJobSchedulers(0, MAX_SCHEDULES - 1));
    return found.map((schedule) => schedule.key);
  }

  override async work({ handlers, concurrency = 4 }: WorkOptions): Promise<void> {
    this.checkOpen();
    const leaseMs = this.options.leaseMs ?? DEFAULT_LEASE_MS;
    const worker = new Worker<JsonObject, JsonObject, string>(
      this.options.name,
      (job, token) => this.run(job, token, handlers),
      {
        connection: this.connection,
        prefix: this.prefix,
        concurrency,
        lockDuration: leaseMs,
        stalledInterval: leaseMs,
        maxStalledCount: MAX_LOST_RUNS,
        settings: {
          backoffStrategy: (failures, _type, _error, job) => backoffAfter(failures, backoffOf(job)),
        },
      },
    );
    this.worker = worker;
    worker.on('error', this.onError);
    worker.on('completed', ({ id = '' }) => this.listeners.tell({ type: 'completed', id }));
    worker.on('failed', (job) => {
      if (job?.id !== undefined) {
        const isOver = job.finishedOn !== undefined;
        const isCancelled = job.failedReason === CANCELLED;
        this.listeners.tell({ type: isCancelled ? 'cancelled' : isOver ? 'failed' : 'retrying', id: job.id });
      }
    });
    this.cancelTimer = setInterval(() => void this.lookForCancelled(), CANCEL_POLL_MS);
    this.cancelTimer.unref();
    await this.call('work', () => worker.waitUntilReady());
  }

  override onEvent(listener: (event: JobEvent) => void): () => void {
    return this.listeners.add(listener);
  }

  override async close(): Promise<void> {
    if (this.isClosed) {
      return;
    }
    this.isClosed = true;
    clearInterval(this.cancelTimer);
    for (const { abort } of this.running.values()) {
      abort.abort(new DfError('unavailable', 'the queue is closing'));
    }
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, CLOSE_GRACE_MS);
    await Promise.race([this.closeParts().catch(this.onError), grace.promise]);
    clearTimeout(timer);
    // Also what is left of parts that wait for a connection that never comes.
    this.connection.disconnect();
  }

  private async closeParts(): Promise<void> {
    if (this.connection.status !== 'ready') {
      // They would wait for the connection to say goodbye; cut off, they give up.
      this.connection.disconnect();
    }
    await this.worker?.close(this.connection.status !== 'ready');
    await this.queue.close();
  }

  private get prefix(): string {
    return this.options.prefix ?? 'dragonfly';
  }

  private tombstone(id: string): string {
    return `${this.prefix}:${this.options.name}:ended:${id}`;
  }

  private cancelMark(id: string): string {
    return `${this.prefix}:${this.options.name}:cancel:${id}`;
  }

  private connect(): Redis {
    const o = this.options;
    const retryStrategy = (attempt: number): number =>
      Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt - 1, 10));
    const redis = new Redis({
      ...connectionOptions(o, retryStrategy),
      db: o.db ?? 0,
      retryStrategy,
      // BullMQ demands it of connections that wait for entries; our own calls have a deadline of their own.
      maxRetriesPerRequest: null,
    });
    redis.on('error', this.onError);
    return redis;
  }

  private checkOpen(): void {
    if (this.isClosed) {
      throw new DfError('unavailable', `queue ${this.options.name} is closed`);
    }
  }

  /** Runs a call within its deadline. One that was given up may still take effect: every call can be repeated. */
  private async call<T>(what: string, run: () => Promise<T>): Promise<T> {
    this.checkOpen();
    const timeoutMs = this.options.commandTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new DfError('unavailable', `queue ${what}: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await Promise.race([run(), late.promise]);
    } catch (error) {
      throw DfError.from(error, 'unavailable');
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns false when a worker was faster */
  private async removeWaiting(job: Job<JsonObject, JsonObject, string>): Promise<boolean> {
    try {
      await job.remove();
    } catch {
      // A locked entry is active by now; that it cannot be removed is all that this says.
      return false;
    }
    const kept: JobSnapshot = snapshotOf(job, 'cancelled');
    await this.connection.set(this.tombstone(kept.id), JSON.stringify(kept), 'PX', KEEP_FINISHED_MS);
    return true;
  }

  private async run(
    job: Job<JsonObject, JsonObject, string>,
    token: string | undefined,
    handlers: WorkOptions['handlers'],
  ): Promise<JsonObject> {
    const id = job.id ?? '';
    const running: RunningJob = { abort: new AbortController(), isCancelled: false };
    this.running.set(id, running);
    const { signal } = running.abort;
    try {
      const handler = handlers[job.name];
      if (!handler) {
        throw new UnrecoverableError(`nobody runs jobs of the kind ${job.name}`);
      }
      if ((await this.connection.exists(this.cancelMark(id))) > 0) {
        running.isCancelled = true;
        throw new UnrecoverableError(CANCELLED);
      }
      if (this.isClosed) {
        running.abort.abort(new DfError('unavailable', 'the queue is closing'));
        throw new DfError('unavailable', 'the queue is closing');
      }
      this.listeners.tell({ type: 'active', id });
      const result = await handler({
        id,
        kind: job.name,
        payload: job.data,
        attempt: job.attemptsMade + 1,
        signal,
        progress: async (value) => {
          await job.updateProgress(value);
          this.listeners.tell({ type: 'progress', id });
        },
      });
      if (running.isCancelled) {
        throw new UnrecoverableError(CANCELLED);
      }
      return result ?? {};
    } catch (error) {
      if (running.isCancelled) {
        throw new UnrecoverableError(CANCELLED);
      }
      if (signal.aborted) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      if (error instanceof GiveUpError) {
        throw new UnrecoverableError(error.message);
      }
      throw error;
    } finally {
      this.running.delete(id);
    }
  }

  private async lookForCancelled(): Promise<void> {
    const ids = [...this.running].filter(([, entry]) => !entry.isCancelled).map(([id]) => id);
    if (ids.length === 0 || this.isLookingForCancelled) {
      return;
    }
    this.isLookingForCancelled = true;
    try {
      const marks = await this.connection.mget(ids.map((id) => this.cancelMark(id)));
      ids.filter((_id, index) => marks[index] !== null).forEach((id) => abortCancelled(this.running.get(id)));
    } catch (error) {
      this.onError(error);
    } finally {
      this.isLookingForCancelled = false;
    }
  }
}

function jobOptions({ maxAttempts, backoffMs }: { maxAttempts: number; backoffMs: number }): JobsOptions {
  const age = { age: KEEP_FINISHED_MS / 1_000 };
  return {
    attempts: maxAttempts,
    backoff: { type: 'custom', delay: backoffMs },
    removeOnComplete: age,
    removeOnFail: age,
  };
}

function backoffOf(job: { opts: JobsOptions } | undefined): number {
  const backoff = job?.opts.backoff;
  return (typeof backoff === 'object' ? backoff.delay : backoff) ?? 1_000;
}

function stateOf(state: string, job: Job<JsonObject, JsonObject, string>): JobState {
  switch (state) {
    case 'completed':
    case 'active':
      return state;
    case 'failed':
      return job.failedReason === CANCELLED ? 'cancelled' : 'failed';
    default:
      return 'waiting';
  }
}

function snapshotOf(job: Job<JsonObject, JsonObject, string>, state: JobState): JobSnapshot {
  return {
    id: job.id ?? '',
    kind: job.name,
    payload: job.data,
    state,
    attempt: job.attemptsMade + (state === 'active' ? 1 : 0),
    progress: typeof job.progress === 'object' ? (job.progress as JsonObject) : {},
    result: job.returnvalue ?? {},
    error: job.failedReason,
  };
}
