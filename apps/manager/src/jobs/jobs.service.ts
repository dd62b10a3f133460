import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { DfError } from '@dragonfly/errors';
import { Database, JobEntity, type JsonObject } from '@dragonfly/persistence';
import { AddressGuard } from '@dragonfly/registry';
import { traceCarrier } from '@dragonfly/telemetry/spans';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Logger } from '../logger.js';
import { PreheatPlanner } from '../preheat/preheat-planner.js';
import { shownPreheatArgs } from '../preheat/preheat-arguments.js';
import { pageOf, rowsOf } from '../rest/pagination.js';
import { stateConflict } from '../rest/request-decorators.js';
import { jobBody, type JobBody } from './job-body.js';
import { type JobCaller, requireApplication } from './job-caller.js';
import { JobEnds } from './job-ends.js';
import { JobQueues } from './job-parts.js';
import type { GetJobsQuery, PreheatArgs, TaskArgs, UpdateJobRequest } from './job-requests.js';
import { type JobRow, JobRows } from './job-rows.js';
import { onlyVisible, requireOwner, visibleJob } from './job-visibility.js';
import { masked } from './masking.js';
import { originRefusal } from './origin-refusal.js';
import { enqueueRun, type QueuedJob, runQueueId } from './run-queue.js';
import { SchedulerCandidates } from './scheduler-candidates.js';
import { type SealedJob, SecretBox } from './secret-box.js';

/** Longest wait for a registry before a job is accepted. */
const CHECK_TIMEOUT_MS = 60_000;

/** What is common to requests for jobs that schedulers carry out. */
export interface JobOrder {
  readonly bio?: string;
  readonly user_id?: number;
  readonly scheduler_cluster_ids?: number[];
  readonly webhook?: { url: string; secret?: string };
}

/** Jobs as the REST API makes, shows and ends them. */
@Injectable()
export class JobsService {
  constructor(
    private readonly database: Database,
    private readonly rows: JobRows,
    private readonly ends: JobEnds,
    private readonly queues: JobQueues,
    private readonly candidates: SchedulerCandidates,
    private readonly planner: PreheatPlanner,
    private readonly secrets: SecretBox,
    private readonly guard: AddressGuard,
    private readonly log: Logger,
  ) {}

  /**
   * Takes a preheat. What it consists of is found out before, so that a wrong URL or password is answered at once.
   * @throws DfError of the registry; `failed-precondition` without a scheduler
   */
  async preheat(
    order: JobOrder & { args: PreheatArgs },
    caller: JobCaller,
    trigger?: { id: number; isChecked: boolean },
  ): Promise<JobBody> {
    const clusterIds = await this.clusterIds(order, caller);
    requireApplication(caller, order.args.application);
    if (trigger?.isChecked) {
      this.planner.check(order.args);
    } else {
      const { type } = order.args;
      await this.planner.plan(order.args, AbortSignal.timeout(CHECK_TIMEOUT_MS)).catch((error: unknown) => {
        throw originRefusal(error, type === 'image');
      });
    }
    await this.candidates.forPreheat(clusterIds);
    return this.accept(
      'preheat',
      order,
      { ...order.args },
      shownPreheatArgs(order.args),
      clusterIds,
      caller,
      trigger?.id,
    );
  }

  /** @throws DfError `failed-precondition` without a scheduler; `invalid-argument` when no task is named */
  async task(
    type: 'get_task' | 'delete_task',
    order: JobOrder & { args: TaskArgs },
    caller: JobCaller,
  ): Promise<JobBody> {
    const { args } = order;
    if (!args.task_id && !args.url && !args.content_for_calculating_task_id) {
      throw new DfError(
        'invalid-argument',
        'invalid params: task_id, url or content_for_calculating_task_id is required',
      );
    }
    const clusterIds = await this.clusterIds(order, caller);
    // A task that is named by its id may be anybody's.
    requireApplication(caller, args.url ? args.application : undefined);
    await this.candidates.all(clusterIds);
    const shown = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
    return this.accept(type, order, { ...args }, shown, clusterIds, caller);
  }

  async list(query: GetJobsQuery, caller: JobCaller): Promise<{ bodies: JobBody[]; total: number }> {
    const { skip, take } = rowsOf(pageOf(query));
    const found = this.database.manager
      .createQueryBuilder(JobEntity, 'job')
      .where({
        isDel: 0,
        ...(query.type ? { type: query.type } : {}),
        ...(query.state ? { state: query.state } : {}),
        ...(query.user_id ? { userId: query.user_id } : {}),
      })
      .orderBy({ 'job.createdAt': 'DESC', 'job.id': 'DESC' })
      .skip(skip)
      .take(take);
    onlyVisible(found, caller, this.database);
    const [rows, total] = await found.getManyAndCount();
    return { bodies: rows.map((row) => jobBody(row)), total };
  }

  /** Jobs of the caller's accounts that are not over. */
  async countRunning({ scope, userId }: JobCaller): Promise<number> {
    const userIds = [...(scope.userIds ?? [userId])];
    return this.database.manager.countBy(JobEntity, { state: 'PENDING', isDel: 0, userId: In(userIds) });
  }

  async get(id: number, caller: JobCaller): Promise<JobBody> {
    return this.bodyOf(await this.visible(id, caller));
  }

  async update(id: number, request: UpdateJobRequest, caller: JobCaller): Promise<JobBody> {
    await this.visible(id, caller);
    requireOwner(request.user_id, caller);
    await this.rows.update(id, {
      ...(request.bio ? { bio: request.bio } : {}),
      ...(request.user_id ? { userId: request.user_id } : {}),
    });
    return this.bodyOf(await this.visible(id, caller));
  }

  /** Deletes a job for good; a running one is ended before. */
  async delete(id: number, caller: JobCaller): Promise<void> {
    await this.visible(id, caller);
    const row = await this.rows.find(id);
    if (row && row.job.state === 'PENDING') {
      await this.cancelRun(row);
    }
    await this.rows.delete([id]);
  }

  /** @throws DfError `failed-precondition` when the job has ended */
  async cancel(id: number, caller: JobCaller): Promise<JobBody> {
    await this.visible(id, caller);
    const row = await this.rows.find(id);
    if (!row || row.job.state !== 'PENDING' || !(await this.rows.markCancelled(id))) {
      throw stateConflict('the job is not running');
    }
    await this.cancelRun(row);
    return this.get(id, caller);
  }

  /** @throws DfError `failed-precondition` unless the job has failed */
  async retry(id: number, caller: JobCaller): Promise<JobBody> {
    const job = await this.visible(id, caller);
    const tryNumber = await this.rows.restart(id);
    if (tryNumber === undefined) {
      throw stateConflict('only a job that has failed can be tried again');
    }
    await this.enqueue(job, tryNumber);
    return this.get(id, caller);
  }

  /**
   * Refuses a receiver whose address is forbidden, where it stands in the URL; a name is looked at when it is dialled.
   * @throws DfError `invalid-argument`
   */
  checkWebhook(webhook: JobOrder['webhook']): void {
    const host = URL.parse(webhook?.url ?? '')?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
    const refusal = isIP(host) === 0 ? undefined : this.guard.refusal(host);
    if (refusal !== undefined) {
      throw new DfError('invalid-argument', `webhook.url: address ${host} is refused: ${refusal}`);
    }
  }

  /** The clusters that the order means. @throws DfError `not-found` for what the caller may not name */
  private async clusterIds(order: JobOrder, caller: JobCaller): Promise<number[]> {
    requireOwner(order.user_id, caller);
    this.checkWebhook(order.webhook);
    return this.candidates.clusters(caller.scope.clustersOf(order.scheduler_cluster_ids));
  }

  private async accept(
    type: string,
    order: JobOrder,
    args: JsonObject,
    shownArgs: JsonObject,
    clusterIds: number[],
    caller: JobCaller,
    triggerId?: number,
  ): Promise<JobBody> {
    const { shown, hasSecrets } = masked(shownArgs);
    const webhookSecret = order.webhook?.secret;
    const sealed: SealedJob = {
      ...(hasSecrets ? { args } : {}),
      ...(webhookSecret ? { webhookSecret } : {}),
    };
    const row = await this.rows.insert({
      taskId: `group_${randomUUID()}`,
      bio: order.bio ?? '',
      type,
      args: shown,
      userId: order.user_id || caller.userId,
      clusterIds,
      secrets: Object.keys(sealed).length > 0 ? this.secrets.seal(sealed) : null,
      // Whoever runs it, in whichever manager, goes on with the trace of the request.
      plan: { clusterIds, trace: traceCarrier() },
      webhook: order.webhook ? { url: order.webhook.url } : {},
      triggerId,
    });
    await this.enqueue(row.job, row.run.tryNumber);
    return this.bodyOf(row.job);
  }

  private async enqueue(job: QueuedJob, tryNumber: number): Promise<void> {
    try {
      await enqueueRun(this.queues, job, tryNumber);
    } catch (error) {
      // The row is written: the reconciler puts it in when the queue is back.
      this.log.warn({ err: error, jobId: job.id }, 'a job could not be queued yet');
    }
  }

  private async cancelRun(row: JobRow): Promise<void> {
    const id = runQueueId(row.job, row.run.tryNumber);
    const was = await this.queues.jobs.find(id);
    await this.queues.jobs.cancel(id);
    if (was?.state !== 'active') {
      await this.ends.cancelled(row);
    }
  }

  /** @throws DfError `not-found`, also for a job of somebody whom the caller may not see */
  private visible(id: number, caller: JobCaller): Promise<JobEntity> {
    return visibleJob(this.database, id, caller);
  }

  private async bodyOf(job: JobEntity): Promise<JobBody> {
    return jobBody(job, await this.rows.clustersOf(job.id));
  }
}
