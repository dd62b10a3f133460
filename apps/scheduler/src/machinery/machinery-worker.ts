import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { Redis } from 'ioredis';
import type { JobRun } from '../jobs/job-run.js';
import type { JobRunner } from '../jobs/job-runner.js';
import { jobOfMessage, type MachineryJob } from './job-arguments.js';
import { endOfRun } from './job-results.js';
import { BadMessageError, type MachineryMessage, parseMessage } from './machinery-message.js';
import { QueueConsumer } from './queue-consumer.js';
import { type TaskEnd, TaskRecords } from './task-records.js';

/** A job that finds too many others running is offered again after this. */
const BUSY_RETRY_MS = 500;
/** Pauses between attempts to write a result, doubled up to the longest. */
const WRITE_RETRY_MIN_MS = 200;
const WRITE_RETRY_MAX_MS = 30_000;
/** How long a result that cannot be written is kept. */
const WRITE_PATIENCE_MS = 15 * 60_000;

export interface MachineryWorkerOptions {
  readonly schedulerClusterId: number;
  readonly hostname: string;
  readonly ip: string;
  /** Jobs at a time from the queue of this scheduler, of all schedulers, of all services. */
  readonly maxRunning: { readonly local: number; readonly schedulers: number; readonly global: number };
  readonly runner: JobRunner;
  /** A connection for the database; it connects when told to and not again by itself. */
  readonly connect: (database: 'broker' | 'backend') => Redis;
  readonly log: Logger;
}

/**
 * Takes jobs from the queues of the original manager, in the dialect of machinery v1, and answers them in the records
 * that it polls. What a job does is the {@link JobRunner}'s business.
 */
export class MachineryWorker {
  readonly #consumers: readonly QueueConsumer[];

  constructor(private readonly options: MachineryWorkerOptions) {
    const { maxRunning, schedulerClusterId, hostname, ip } = options;
    const local = localQueue(schedulerClusterId, hostname, ip);
    this.#consumers = [
      this.#consumer(local, local, maxRunning.local),
      this.#consumer('schedulers', local, maxRunning.schedulers),
      this.#consumer('global', local, maxRunning.global),
    ];
    options.log.info({ queue: local }, 'jobs are taken from Redis');
  }

  /** Gives unfinished jobs back. */
  async stop(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
  }

  #consumer(queue: string, owner: string, maxRunning: number): QueueConsumer {
    return new QueueConsumer({
      queue,
      workingList: queue === owner ? `${queue}:working` : `${queue}:working:${owner}`,
      maxRunning,
      connect: () => this.options.connect('broker'),
      handle: (text, signal) => this.#handle(text, signal),
      refuse: (text, reason) => this.#refuse(text, reason),
      log: this.options.log,
    });
  }

  async #handle(text: string, signal: AbortSignal): Promise<'done' | 'given-back'> {
    const { log } = this.options;
    let message: MachineryMessage;
    let job: MachineryJob;
    try {
      message = parseMessage(text);
      await this.#write(signal, message, (records, { uuid, name }) => records.progress(uuid, name, 'RECEIVED'));
      job = jobOfMessage(message);
    } catch (error) {
      if (signal.aborted) return 'given-back';
      const reason = DfError.from(error).message;
      log.warn({ reason, message: text.slice(0, 512) }, 'a job message cannot be used');
      await this.#refuse(text, reason);
      return 'done';
    }
    const { uuid } = message;
    const run = await this.#start(uuid, job, signal);
    if (run === undefined) return 'given-back';
    const onAbort = (): void => run.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await this.#write(signal, message, (records, { name }) => records.progress(uuid, name, 'STARTED'));
      await run.ended();
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    if (signal.aborted) return 'given-back';
    const end = endOfRun(run, this.options.schedulerClusterId);
    await this.#write(signal, message, (records, { name }) => records.end(uuid, name, end));
    return 'done';
  }

  /** @returns undefined when the worker stops first */
  async #start(uuid: string, job: MachineryJob, signal: AbortSignal): Promise<JobRun | undefined> {
    while (!signal.aborted) {
      try {
        return this.options.runner.start(uuid, job.spec, job.timeoutMs);
      } catch (error) {
        if (DfError.from(error).code !== 'resource-exhausted') return undefined;
        await delay(BUSY_RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
    return undefined;
  }

  /** Answers with a failure, if it is known to whom. */
  async #refuse(text: string, reason: string): Promise<void> {
    const end: TaskEnd = { state: 'FAILURE', error: reason };
    let answer: Pick<MachineryMessage, 'uuid' | 'name'> | undefined;
    try {
      answer = parseMessage(text);
    } catch (error) {
      if (error instanceof BadMessageError && error.uuid !== undefined) {
        answer = { uuid: error.uuid, name: error.jobName };
      }
    }
    if (answer === undefined) return;
    await this.#write(AbortSignal.timeout(WRITE_PATIENCE_MS), answer, (records, { uuid, name }) =>
      records.end(uuid, name, end),
    );
  }

  /** Writes into the database of results, again and again while it is away. */
  async #write(
    signal: AbortSignal,
    message: Pick<MachineryMessage, 'uuid' | 'name'>,
    write: (records: TaskRecords, message: Pick<MachineryMessage, 'uuid' | 'name'>) => Promise<void>,
  ): Promise<void> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(WRITE_PATIENCE_MS)]);
    for (let retryMs = WRITE_RETRY_MIN_MS; ; retryMs = Math.min(retryMs * 2, WRITE_RETRY_MAX_MS)) {
      const redis = this.options.connect('backend');
      try {
        await redis.connect();
        await write(new TaskRecords(redis), message);
        return;
      } catch (error) {
        if (patience.aborted) throw error;
        this.options.log.debug({ reason: DfError.from(error).message, uuid: message.uuid }, 'result not written yet');
      } finally {
        redis.disconnect();
      }
      await delay(retryMs, undefined, { signal: patience, ref: false }).catch(() => undefined);
    }
  }
}

/** The queue that the original manager writes to for one scheduler. */
export function localQueue(schedulerClusterId: number, hostname: string, ip: string): string {
  return `scheduler_${schedulerClusterId}_${hostname}_${ip}`;
}
