import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { nextCronTime } from '@dragonfly/jobs';
import { Database, insertRow, JobEntity, JobTriggerEntity, type JsonObject, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Clock } from '../clock.js';
import { type JobCaller, requireApplication, systemCaller } from '../jobs/job-caller.js';
import { JobQueues } from '../jobs/job-parts.js';
import { JobsService } from '../jobs/jobs.service.js';
import { isWithin, requireOwner } from '../jobs/job-visibility.js';
import { masked } from '../jobs/masking.js';
import { SecretBox } from '../jobs/secret-box.js';
import { Logger } from '../logger.js';
import { pageOf, rowsOf } from '../rest/pagination.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { type TriggerBody, triggerBody } from './trigger-body.js';
import type {
  CreateTriggerRequest,
  GetTriggersQuery,
  TriggerJob,
  UpdateTriggerRequest,
  WatchSpec,
} from './trigger-requests.js';
import { Watchers } from './watchers.js';

export const TRIGGER_TASK = 'trigger';
const DEFAULT_INTERVAL_MS = 60_000;
const MAX_ERROR_LENGTH = 1_000;
/** Preheats begun at one look; the rest is found at the next one. */
const MAX_JOBS_PER_LOOK = 50;
/** Longest wait for old content to be deleted before the new one is fetched. */
const DELETE_WAIT_MS = 120_000;
const DELETE_POLL_MS = 250;

/** What starts preheats by itself: times, something new at a registry or a place of files, a registry's own word. */
@Injectable()
export class TriggersService {
  constructor(
    private readonly database: Database,
    private readonly jobs: JobsService,
    private readonly watchers: Watchers,
    private readonly queues: JobQueues,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** @throws DfError `invalid-argument` naming the field, `already-exists` for the name, `not-found` (cluster) */
  async create(request: CreateTriggerRequest, caller: JobCaller): Promise<TriggerBody> {
    checkTrigger(request);
    requireApplication(caller, request.job.args.application);
    requireOwner(request.user_id, caller);
    this.jobs.checkWebhook(request.job.webhook);
    const { cron, interval_seconds: intervalS, watch, kind } = request;
    const job = { ...request.job, scheduler_cluster_ids: caller.scope.clustersOf(request.job.scheduler_cluster_ids) };
    const { shown, hasSecrets } = masked(JSON.parse(JSON.stringify(job)) as JsonObject);
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, JobTriggerEntity, now, {
        name: request.name,
        kind,
        isEnabled: request.enabled ?? true,
        cron: cron || null,
        intervalMs: intervalS ? intervalS * 1_000 : kind === 'watch' ? DEFAULT_INTERVAL_MS : null,
        job: shown,
        watch: watch ?? {},
        secrets: hasSecrets ? this.secrets.seal(job) : null,
        seen: {},
        userId: request.user_id || caller.userId,
      });
      return rowById(manager, JobTriggerEntity, id);
    });
    await this.arm(row);
    return triggerBody(row);
  }

  async get(id: number, caller: JobCaller): Promise<TriggerBody> {
    return triggerBody(await this.visible(id, caller));
  }

  async list(query: GetTriggersQuery, caller: JobCaller): Promise<{ bodies: TriggerBody[]; total: number }> {
    const { userIds, clusterIds, applications } = caller.scope;
    const { skip, take } = rowsOf(pageOf(query));
    // What a trigger is for stands in its JSON: callers with limits have few, which are chosen from here.
    const isChosenHere = clusterIds !== undefined || applications !== undefined;
    const [rows, total] = await this.database.manager.findAndCount(JobTriggerEntity, {
      where: {
        isDel: 0,
        ...(query.kind ? { kind: query.kind } : {}),
        ...(query.name ? { name: query.name } : {}),
        ...(userIds ? { userId: In([...userIds]) } : {}),
      },
      order: { id: 'ASC' },
      ...(isChosenHere ? {} : { skip, take }),
    });
    if (!isChosenHere) {
      return { bodies: rows.map(triggerBody), total };
    }
    const visible = rows.filter((row) => isTriggerWithin(row, caller));
    return { bodies: visible.slice(skip, skip + take).map(triggerBody), total: visible.length };
  }

  async update(id: number, request: UpdateTriggerRequest, caller: JobCaller): Promise<TriggerBody> {
    const before = await this.visible(id, caller);
    const { cron, interval_seconds: intervalS, enabled } = request;
    checkRhythm(before.kind, cron ?? before.cron ?? undefined, intervalS ?? (before.intervalMs ?? 0) / 1_000);
    const now = this.clock.now();
    await this.database.transaction((manager) =>
      updateRow(manager, JobTriggerEntity, now, id, {
        isEnabled: enabled,
        cron: cron || undefined,
        intervalMs: intervalS ? intervalS * 1_000 : undefined,
      }),
    );
    const row = await this.visible(id, caller);
    await this.arm(row);
    return triggerBody(row);
  }

  async delete(id: number, caller: JobCaller): Promise<void> {
    await this.visible(id, caller);
    await this.queues.periodic.unschedule(scheduleName(id));
    await this.database.transaction((manager) => manager.delete(JobTriggerEntity, { id }));
  }

  /** Fires at once, as if the time had come. */
  async runNow(id: number, caller: JobCaller): Promise<TriggerBody> {
    await this.visible(id, caller);
    await this.fire(id, AbortSignal.timeout(DELETE_WAIT_MS));
    return this.get(id, caller);
  }

  /** Brings the queue's schedules in line with the rows: at the start, and after a store that lost them. */
  async armAll(): Promise<void> {
    const rows = await this.database.transaction((manager) => manager.findBy(JobTriggerEntity, { isDel: 0 }));
    const wanted = new Set(
      rows.filter((row) => row.isEnabled && row.kind !== 'push').map((row) => scheduleName(row.id)),
    );
    for (const name of await this.queues.periodic.schedules()) {
      if (name.startsWith('trigger-') && !wanted.has(name)) {
        await this.queues.periodic.unschedule(name);
      }
    }
    for (const row of rows) {
      await this.arm(row);
    }
  }

  /** The handler of the periodic queue. */
  async fire(id: number, signal: AbortSignal): Promise<void> {
    const row = await this.database.transaction((manager) => manager.findOneBy(JobTriggerEntity, { id, isDel: 0 }));
    if (!row) {
      return;
    }
    try {
      await (row.kind === 'watch' ? this.look(row, signal) : this.start(row, this.jobOf(row).args, []));
    } catch (error) {
      signal.throwIfAborted();
      const failure = DfError.from(error);
      this.log.info({ triggerId: id, reason: failure.message }, 'trigger failed');
      await this.note(id, { lastError: failure.message.slice(0, MAX_ERROR_LENGTH) });
    }
  }

  /** A push trigger by its name, for a registry that tells of pushes. @throws DfError `not-found` */
  async pushTrigger(name: string, caller: JobCaller): Promise<JobTriggerEntity> {
    const row = await this.database.manager.findOneBy(JobTriggerEntity, { name, kind: 'push', isDel: 0 });
    if (!row?.isEnabled || !isTriggerWithin(row, caller)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return row;
  }

  /** Preheats one image or file with the trigger's arguments. @returns the job's id */
  async start(row: JobTriggerEntity, over: Partial<TriggerJob['args']>, changed: readonly string[]): Promise<number> {
    const job = this.jobOf(row);
    const caller = systemCaller(row.userId ?? 0);
    const clusters = job.scheduler_cluster_ids;
    for (const url of changed) {
      await this.deleteOld(url, job, caller);
    }
    const { id } = await this.jobs.preheat(
      {
        bio: job.bio || `trigger ${row.name}`,
        args: { ...job.args, ...over },
        scheduler_cluster_ids: clusters,
        webhook: job.webhook,
      },
      caller,
      { id: row.id, isChecked: true },
    );
    await this.note(row.id, { lastFiredAt: this.clock.now(), lastJobId: id, lastError: '' });
    return id;
  }

  private async look(row: JobTriggerEntity, signal: AbortSignal): Promise<void> {
    const job = this.jobOf(row);
    const { seen, news, changed } = await this.watchers.look(row.watch as unknown as WatchSpec, job, row.seen, signal);
    const urls = news.slice(0, MAX_JOBS_PER_LOOK);
    for (const url of urls) {
      await this.start(row, { url, urls: undefined }, changed.includes(url) ? [url] : []);
    }
    // After the jobs: a manager that ends in between finds the same news again rather than none.
    const marks = { ...(seen['marks'] as Record<string, string>) };
    for (const left of news.slice(MAX_JOBS_PER_LOOK)) {
      delete marks[left];
    }
    await this.note(row.id, { seen: { marks }, lastError: '' });
  }

  /** Cached content of the URL is of the past: a preheat would find it there and fetch nothing. */
  private async deleteOld(url: string, job: TriggerJob, caller: JobCaller): Promise<void> {
    const { tag, application, piece_length, filtered_query_params } = job.args;
    const { id } = await this.jobs.task(
      'delete_task',
      {
        bio: 'the content has changed',
        args: {
          url,
          tag,
          application,
          piece_length,
          filtered_query_params,
        } as never,
        scheduler_cluster_ids: job.scheduler_cluster_ids,
      },
      caller,
    );
    const giveUpAtMs = performance.now() + DELETE_WAIT_MS;
    while (performance.now() < giveUpAtMs) {
      const { state } = await this.database.manager.findOneByOrFail(JobEntity, { id });
      if (state !== 'PENDING') {
        return;
      }
      await delay(DELETE_POLL_MS, undefined, { ref: false });
    }
  }

  private jobOf(row: JobTriggerEntity): TriggerJob {
    return (row.secrets === null ? row.job : this.secrets.open(row.secrets)) as TriggerJob;
  }

  private async arm(row: JobTriggerEntity): Promise<void> {
    const name = scheduleName(row.id);
    if (!row.isEnabled || row.kind === 'push') {
      await this.queues.periodic.unschedule(name);
      return;
    }
    await this.queues.periodic.schedule(name, {
      kind: TRIGGER_TASK,
      payload: { trigger_id: row.id },
      ...(row.cron === null ? { everyMs: row.intervalMs ?? DEFAULT_INTERVAL_MS } : { cron: row.cron }),
    });
  }

  private async note(id: number, changes: Partial<JobTriggerEntity>): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction((manager) => updateRow(manager, JobTriggerEntity, now, id, changes));
  }

  private async visible(id: number, caller: JobCaller): Promise<JobTriggerEntity> {
    const row = await rowById(this.database.manager, JobTriggerEntity, id);
    if (!isTriggerWithin(row, caller)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return row;
  }
}

function isTriggerWithin({ userId, job }: JobTriggerEntity, caller: JobCaller): boolean {
  const { scheduler_cluster_ids: clusterIds, args } = job as unknown as TriggerJob;
  return isWithin({ userId, clusterIds: clusterIds ?? [], args: { ...args } }, caller);
}

function scheduleName(id: number): string {
  return `trigger-${id}`;
}

function checkTrigger({ kind, cron, interval_seconds: intervalS, watch, job }: CreateTriggerRequest): void {
  checkRhythm(kind, cron, intervalS);
  if (kind !== 'schedule' && !watch) {
    throw new DfError('invalid-argument', `watch: is required for a trigger of the kind ${kind}`);
  }
  if (kind === 'push' && watch?.type !== 'registry') {
    throw new DfError('invalid-argument', 'watch.type: must be registry for a trigger of the kind push');
  }
  if ((watch?.type === 'registry') !== (job.args.type === 'image') && watch) {
    throw new DfError('invalid-argument', 'job.args.type: must be image for a registry and file for an object');
  }
}

function checkRhythm(kind: string, cron: string | undefined, intervalS: number | undefined): void {
  if (cron) {
    nextCronTime(cron, 0);
  }
  if (kind === 'schedule' && !cron && !intervalS) {
    throw new DfError('invalid-argument', 'cron: a schedule needs cron or interval_seconds');
  }
  if (cron && intervalS && kind === 'schedule') {
    throw new DfError('invalid-argument', 'cron: give either cron or interval_seconds');
  }
}
