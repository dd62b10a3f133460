import { assertNever, DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { JobMetrics } from './job-metrics.js';
import { type JobEnd, JobRun } from './job-run.js';
import { type JobSpec, MAX_DOWNLOADS } from './job-spec.js';
import { preheat, type PreheatContext } from './preheat-work.js';
import { deleteTask, getTask, syncPeers, type TaskWorkContext } from './task-work.js';
import { timeLimit } from './time-limit.js';

/** An ended job is known for this long, so that whoever lost its stream can still learn the end. */
const KEEP_ENDED_MS = 10 * 60_000;
/** Ended jobs that are kept; the oldest go first. */
const MAX_ENDED = 256;
/** Outcomes and hosts of ended jobs that are kept, about 300 bytes each. */
const MAX_KEPT_ENTRIES = 250_000;

export interface JobRunnerOptions {
  readonly context: PreheatContext & TaskWorkContext;
  /** Jobs that run at a time, wherever they came from. */
  readonly maxRunning: number;
  readonly metrics: JobMetrics;
  readonly log: Logger;
}

/** Runs jobs, whoever brings them: the job service, the preheat calls, the queues in Redis. */
export class JobRunner {
  /** In order of their start. */
  readonly #runs = new Map<string, JobRun>();
  #running = 0;
  #isClosed = false;

  constructor(private readonly options: JobRunnerOptions) {
    options.metrics.running = () => this.#running;
  }

  /**
   * Starts a job, or finds the one that runs, or has lately run, under the same id.
   * @param timeoutMs longest run time
   * @throws DfError `resource-exhausted` when too many run, `invalid-argument` when it has too many downloads,
   *   `unavailable` while stopping
   */
  start(id: string, spec: JobSpec, timeoutMs: number): JobRun {
    const known = this.#runs.get(id);
    if (known !== undefined) return known;
    const { maxRunning, metrics, log } = this.options;
    if (this.#isClosed) throw new DfError('unavailable', 'the scheduler is shutting down');
    if (this.#running >= maxRunning) {
      throw new DfError('resource-exhausted', `${this.#running} jobs are running, at most ${maxRunning} may`);
    }
    if (spec.kind === 'preheat' && spec.downloads.length > MAX_DOWNLOADS) {
      throw new DfError('invalid-argument', `downloads: at most ${MAX_DOWNLOADS}, not ${spec.downloads.length}`);
    }
    this.#forgetOld();
    const run = new JobRun(id, spec.kind);
    this.#runs.set(id, run);
    this.#running += 1;
    log.info({ jobId: id, kind: spec.kind }, 'job has started');
    void this.#execute(run, spec, timeoutMs).then((end) => {
      this.#running -= 1;
      run.finish(end, this.options.context.nowMs());
      metrics.ended(run);
      const { progress } = run;
      log.info({ jobId: id, kind: spec.kind, ...end, progress }, 'job has ended');
    });
    return run;
  }

  /** @throws DfError `not-found` */
  cancel(id: string): void {
    const run = this.#runs.get(id);
    if (run === undefined) throw new DfError('not-found', `job ${id} not found`);
    run.cancel();
  }

  /** Cancels everything and takes no more. */
  close(): void {
    this.#isClosed = true;
    for (const run of this.#runs.values()) run.cancel();
  }

  async #execute(run: JobRun, spec: JobSpec, timeoutMs: number): Promise<JobEnd> {
    const timeout = timeLimit(timeoutMs);
    const signal = AbortSignal.any([run.cancelSignal, timeout]);
    try {
      await this.#work(run, spec, signal);
    } catch (error) {
      const { message } = DfError.from(error);
      if (!signal.aborted) return { result: 'failed', description: message };
    }
    if (run.cancelSignal.aborted) return { result: 'cancelled', description: 'the job was cancelled' };
    if (timeout.aborted) return { result: 'timed-out', description: `the job took more than ${timeoutMs} ms` };
    return endOf(run);
  }

  async #work(run: JobRun, spec: JobSpec, signal: AbortSignal): Promise<void> {
    const { context } = this.options;
    switch (spec.kind) {
      case 'preheat':
        await preheat(context, spec, run, signal);
        return;
      case 'get-task':
        await getTask(context, spec, run, signal);
        return;
      case 'delete-task':
        await deleteTask(context, spec, run, signal);
        return;
      case 'sync-peers':
        await syncPeers(context, run, signal);
        return;
      default:
        assertNever(spec);
    }
  }

  #forgetOld(): void {
    const ended = [...this.#runs.values()].filter((run) => run.end !== undefined).reverse();
    const nowMs = this.options.context.nowMs();
    let entries = 0;
    for (const [index, run] of ended.entries()) {
      entries += run.entryCount;
      const isSurplus = index >= MAX_ENDED || entries > MAX_KEPT_ENTRIES;
      if (isSurplus || nowMs - run.finishedAtMs > KEEP_ENDED_MS) this.#runs.delete(run.id);
    }
  }
}

/** How a job ended whose work was done. Not to reach a host is no failure of a question. */
function endOf({ kind, progress, outcomes }: JobRun): JobEnd {
  const { total, failed } = progress;
  if (failed === 0) return { result: 'succeeded', description: '' };
  const first = outcomes.find(({ succeeded }) => !succeeded)?.description ?? '';
  if (kind === 'get-task') return { result: 'succeeded', description: `${failed} of ${total} hosts did not answer` };
  const what = kind === 'preheat' ? 'downloads' : 'deletions';
  return { result: 'failed', description: `${failed} of ${total} ${what} failed, the first: ${first}` };
}
