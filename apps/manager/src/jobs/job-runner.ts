import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { taskIdOfContent, taskIdOfUrl } from '@dragonfly/ids';
import type { JobContext } from '@dragonfly/jobs';
import { type TraceCarrier, withinTrace, withSpan } from '@dragonfly/telemetry/spans';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { Logger } from '../logger.js';
import { filteredParamsOf, timeoutMsOf } from '../preheat/preheat-arguments.js';
import { PreheatPlanner } from '../preheat/preheat-planner.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import type { SchedulerTarget, SchedulerWork } from './dispatch/scheduler-work.js';
import { JobEnds } from './job-ends.js';
import { PreheatArgs, TaskArgs } from './job-requests.js';
import { resultBody, SchedulerPart } from './job-result.js';
import { isLossOfRights, JobRights, type OwnedWork, workOfJob } from './job-rights.js';
import { type JobRow, JobRows } from './job-rows.js';
import { type SealedJob, SecretBox } from './secret-box.js';
import { SchedulerCandidates } from './scheduler-candidates.js';

/** Pause between two writes of how far a job is. */
const PROGRESS_INTERVAL_MS = 1_000;
/** Pause between two looks whether a running job is still its owner's to run. */
const RIGHTS_INTERVAL_MS = 1_000;
const DEFAULT_CONCURRENT_PEERS = 500;

/** Arguments and clusters of a job, whatever its type. */
interface Plan {
  readonly clusterIds: readonly number[];
  /** Of the request that made the job, when it had one. */
  readonly trace?: TraceCarrier;
}

/**
 * Carries out one job: what it means, which schedulers, what they tell, how it ended. A run that is cut off (the manager
 * stops) leaves the job pending; the next one joins what the schedulers are doing under the same id.
 */
@Injectable()
export class JobRunner {
  constructor(
    private readonly rows: JobRows,
    private readonly ends: JobEnds,
    private readonly candidates: SchedulerCandidates,
    private readonly planner: PreheatPlanner,
    private readonly dispatcher: Dispatcher,
    private readonly secrets: SecretBox,
    private readonly rights: JobRights,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** The handler of the queue. */
  async run({ payload, signal }: JobContext): Promise<void> {
    const row = await this.rows.find(Number(payload['job_id']));
    if (!row || row.job.state !== 'PENDING' || row.run.tryNumber !== payload['try']) {
      return;
    }
    if (row.run.isCancelled) {
      await this.ends.cancelled(row);
      return;
    }
    const { trace } = row.run.plan as unknown as Plan;
    const attributes = { 'dragonfly.job.id': row.job.id, 'dragonfly.job.type': row.job.type ?? undefined };
    await withinTrace(trace, () =>
      withSpan(`job ${row.job.type}`, { kind: 'consumer', attributes }, () => this.begin(row, signal)),
    );
  }

  private async begin(row: JobRow, signal: AbortSignal): Promise<void> {
    await this.rows.noteStart(row.job.id);
    let parts: SchedulerPart[] = [];
    try {
      await this.rights.require(ownedBy(row));
      const { work, targets, timeoutMs } = await this.prepare(row, signal);
      const startedAt = this.clock.now();
      parts = targets.map((target) => new SchedulerPart(target, work, row.job.taskId, startedAt));
      await this.carryOut(row, parts, work, timeoutMs, signal);
    } catch (error) {
      const failure = DfError.from(error);
      if (signal.aborted && DfError.from(signal.reason, 'cancelled').code !== 'cancelled') {
        throw failure;
      }
      this.log.info({ jobId: row.job.id, type: row.job.type, reason: failure.message }, 'job failed');
      await this.ends.failed(row, signal.aborted ? 'cancelled' : failure.message, parts);
      if (isLossOfRights(failure) && !signal.aborted) {
        await this.rights.recordRefusal(row.job.userId ?? 0, `/api/v1/jobs/${row.job.id}`, failure.message);
      }
      return;
    }
    await this.ends.over(row, parts, signal.aborted);
  }

  private async prepare(
    row: JobRow,
    signal: AbortSignal,
  ): Promise<{ work: SchedulerWork; targets: SchedulerTarget[]; timeoutMs: number }> {
    const { clusterIds } = row.run.plan as unknown as Plan;
    const sealed = row.run.secrets === null ? {} : (this.secrets.open(row.run.secrets) as SealedJob);
    const given = sealed.args ?? row.job.args;
    switch (row.job.type) {
      case 'preheat': {
        const args = PreheatArgs.parse(given);
        return {
          work: await this.planner.plan(args, signal),
          targets: await this.candidates.forPreheat(clusterIds),
          timeoutMs: timeoutMsOf(args.timeout),
        };
      }
      case 'get_task':
      case 'delete_task': {
        const args = TaskArgs.parse(given);
        return {
          work: {
            kind: row.job.type,
            taskId: taskIdOfArgs(args),
            concurrentPeerCount: args.concurrent_peer_count || DEFAULT_CONCURRENT_PEERS,
          },
          targets: await this.candidates.all(clusterIds),
          timeoutMs: timeoutMsOf(args.timeout),
        };
      }
      default:
        throw new DfError('internal', `nobody runs jobs of the type ${row.job.type}`);
    }
  }

  /** @throws DfError `permission-denied` when it was stopped in the middle: its owner has lost the right to it */
  private async carryOut(
    row: JobRow,
    parts: readonly SchedulerPart[],
    work: SchedulerWork,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const over = new AbortController();
    const stopped = new AbortController();
    const telling = this.tellProgress(row, parts, over.signal);
    const watching = this.watchRights(row, over.signal, stopped);
    try {
      await Promise.all(
        parts.map(async (part) => {
          const runId = `${row.job.taskId}-${row.run.tryNumber}-${part.target.id}`;
          part.finish(
            await this.dispatcher.run({
              target: part.target,
              work,
              runId,
              timeoutMs,
              onEvent: (event) => part.note(event),
              signal: AbortSignal.any([signal, stopped.signal]),
            }),
          );
        }),
      );
    } finally {
      over.abort();
      await telling;
    }
    const loss = await watching;
    if (loss) {
      throw loss;
    }
  }

  /** Has the schedulers end the run as soon as its owner loses the right to it. @returns why */
  private async watchRights(row: JobRow, over: AbortSignal, stopped: AbortController): Promise<DfError | undefined> {
    const work = ownedBy(row);
    while (!over.aborted) {
      await delay(RIGHTS_INTERVAL_MS, undefined, { signal: over, ref: false }).catch(() => undefined);
      const failure = over.aborted
        ? undefined
        : await this.rights.require(work).then(
            () => undefined,
            (error: unknown) => DfError.from(error),
          );
      // With the database away nothing is known to be lost.
      if (failure && isLossOfRights(failure)) {
        stopped.abort(new DfError('cancelled', failure.message));
        return failure;
      }
    }
    return undefined;
  }

  /** Writes how far it is, as often as once a second and only when there is news. */
  private async tellProgress(row: JobRow, parts: readonly SchedulerPart[], over: AbortSignal): Promise<void> {
    let told = '';
    while (!over.aborted) {
      const rested = await delay(PROGRESS_INTERVAL_MS, true, { signal: over, ref: false }).catch(() => false);
      const news = JSON.stringify(parts.map((part) => [part.progress, part.state]));
      if (rested && news !== told) {
        told = news;
        const times = { createdAt: row.job.createdAt ?? this.clock.now(), updatedAt: this.clock.now() };
        // A state that is final belongs to the end, which is written with everything else at once.
        const result = { ...resultBody(row.job.taskId, parts, times), state: 'PENDING' };
        try {
          await this.rows.noteProgress(row.job.id, result);
        } catch (error) {
          this.log.warn({ err: error, jobId: row.job.id }, 'progress of a job could not be kept');
        }
      }
    }
  }
}

function ownedBy({ job, run }: JobRow): OwnedWork {
  return workOfJob(job, (run.plan as unknown as Plan).clusterIds);
}

/** Of the URL when there is one, else of the content text, else as it is given. */
export function taskIdOfArgs(args: TaskArgs): string {
  if (args.url) {
    return taskIdOfUrl({
      url: args.url,
      filteredQueryParams: filteredParamsOf(args.filtered_query_params),
      tag: args.tag || undefined,
      application: args.application || undefined,
      pieceLengthBytes: args.piece_length || undefined,
    });
  }
  return args.content_for_calculating_task_id
    ? taskIdOfContent(args.content_for_calculating_task_id)
    : (args.task_id ?? '');
}
