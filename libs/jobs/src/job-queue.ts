/** A JSON object: what queues carry. */
export type JsonObject = Record<string, unknown>;

/** What is to be put into a queue. */
export interface JobRequest {
  /**
   * Chosen by the caller, 1 … 100 characters of `A-Za-z0-9_.-`, not a bare number. Putting the same id in twice is
   * done once, as long as the first entry is remembered. @default a random one
   */
  id?: string;
  /** Which handler runs it. */
  kind: string;
  payload: JsonObject;
  /** Not to be run before so many ms have passed. @default 0 */
  delayMs?: number;
  /** Most runs, 1 … 100; each failure takes one. @default 1 */
  maxAttempts?: number;
  /** Pause after the first failure, in ms; doubled with each further one up to {@link MAX_BACKOFF_MS}. @default 1000 */
  backoffMs?: number;
}

/** What is put into a queue again and again. */
export interface ScheduleRequest {
  kind: string;
  payload: JsonObject;
  /** Five or six fields (with seconds), in UTC. Either this or `everyMs`. */
  cron?: string;
  /** Interval, at least {@link MIN_INTERVAL_MS}. */
  everyMs?: number;
  maxAttempts?: number;
  backoffMs?: number;
}

/**
 * `waiting` also for what waits for its time, `active` while a worker runs it; the other three are final.
 */
export type JobState = 'waiting' | 'active' | 'completed' | 'failed' | 'cancelled';

/** An entry of a queue as it is now. */
export interface JobSnapshot {
  readonly id: string;
  readonly kind: string;
  readonly payload: JsonObject;
  readonly state: JobState;
  /** Runs begun so far. */
  readonly attempt: number;
  /** What the handler told last; empty before. */
  readonly progress: JsonObject;
  /** What the handler returned; empty before. */
  readonly result: JsonObject;
  /** Why it failed. */
  readonly error: string | undefined;
}

/** What a handler gets. */
export interface JobContext {
  readonly id: string;
  readonly kind: string;
  readonly payload: JsonObject;
  /** 1 at the first run. A run that was cut off by the end of its process counts. */
  readonly attempt: number;
  /**
   * Fires when the job is cancelled (reason `cancelled`), when this worker lost its lease, or when the queue closes
   * (reason `unavailable`): the handler should end soon; in the last two cases the job runs again elsewhere or later.
   */
  readonly signal: AbortSignal;
  /** Tells how far it is; the last value is kept. */
  readonly progress: (value: JsonObject) => Promise<void>;
}

export type JobHandler = (job: JobContext) => Promise<JsonObject | void>;

/** Throw it from a handler when trying again cannot help. */
export class GiveUpError extends Error {
  override readonly name = 'GiveUpError';
}

/** Something happened to an entry. Events of other processes may be missing: a hint to look, never the only source. */
export interface JobEvent {
  readonly type: 'active' | 'progress' | 'retrying' | 'completed' | 'failed' | 'cancelled';
  readonly id: string;
}

export interface WorkOptions {
  /** Handlers by kind. An entry of another kind fails. */
  handlers: Readonly<Record<string, JobHandler>>;
  /** Entries at a time in this process. @default 4 */
  concurrency?: number;
}

/** Longest pause between two runs of one entry, in ms. */
export const MAX_BACKOFF_MS = 300_000;
/** Shortest interval of a schedule, in ms. */
export const MIN_INTERVAL_MS = 1_000;
/** How long finished entries are remembered, in ms; their ids are taken for so long. */
export const KEEP_FINISHED_MS = 3_600_000;

/**
 * A named queue, shared by all processes that use the same store.
 *
 * Each entry is run **at least once**: a worker holds it by a lease that it renews, and when the worker's process ends
 * the entry is run again by another one. With living workers it is run by one at a time. Nothing that `enqueue` or
 * `schedule` has resolved for is lost by a restart of the processes that use the queue (what the store itself keeps over
 * a restart of its own is up to the store). Order: by time due, else as put in, as far as concurrency allows.
 *
 * Everything fails with a DfError: `invalid-argument`, `unavailable` (store away, queue closed).
 */
export abstract class JobQueue {
  /** @returns the id; when an entry of the given id is there already, nothing is changed */
  abstract enqueue(request: JobRequest): Promise<string>;

  /** The entry as it is now; undefined when it is unknown or forgotten. */
  abstract find(id: string): Promise<JobSnapshot | undefined>;

  /**
   * Ends an entry: one that waits is never run, the handler of an active one sees its signal fire, wherever it runs.
   * @returns whether there was something to end
   */
  abstract cancel(id: string): Promise<boolean>;

  /**
   * Puts an entry in whenever the time comes, until {@link unschedule}. A schedule of the same name is replaced; when
   * it is equal, its next time stays. Times that passed while no process was there make one run, not many.
   * @throws DfError `invalid-argument` when the cron text is wrong
   */
  abstract schedule(name: string, request: ScheduleRequest): Promise<void>;

  /** @returns whether there was such a schedule */
  abstract unschedule(name: string): Promise<boolean>;

  /** Names of the schedules, in no order. */
  abstract schedules(): Promise<string[]>;

  /** Starts running entries in this process. To be called once. */
  abstract work(options: WorkOptions): Promise<void>;

  /** @returns ends the subscription */
  abstract onEvent(listener: (event: JobEvent) => void): () => void;

  /** Stops working: running handlers see their signal fire and their entries go back. May be called more than once. */
  abstract close(): Promise<void>;
}
