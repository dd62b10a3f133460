import { DfError } from '@dragonfly/errors';
import { nextCronTime } from '@dragonfly/jobs';
import { Database, insertRow, JobTriggerEntity, type JsonObject, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Clock } from '../clock.js';
import { type JobCaller, requireApplication } from '../jobs/job-caller.js';
import { JobQueues } from '../jobs/job-parts.js';
import { JobRights } from '../jobs/job-rights.js';
import { JobsService } from '../jobs/jobs.service.js';
import { requireOwner } from '../jobs/job-visibility.js';
import { masked } from '../jobs/masking.js';
import { SecretBox } from '../jobs/secret-box.js';
import { pageOf, rowsOf } from '../rest/pagination.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { type TriggerBody, triggerBody } from './trigger-body.js';
import type { CreateTriggerRequest, GetTriggersQuery, UpdateTriggerRequest } from './trigger-requests.js';
import { isTriggerWithin, TriggerRows, triggerWork } from './trigger-rows.js';
import { DELETE_WAIT_MS, TriggerRuns } from './trigger-runs.js';

export const TRIGGER_TASK = 'trigger';
/** Longest wait of a request to fire for a firing that goes on already. */
const FIRING_WAIT_MS = 30_000;
const DEFAULT_INTERVAL_MS = 60_000;

/** What starts preheats by itself: times, something new at a registry or a place of files, a registry's own word. */
@Injectable()
export class TriggersService {
  constructor(
    private readonly database: Database,
    private readonly jobs: JobsService,
    private readonly rows: TriggerRows,
    private readonly runs: TriggerRuns,
    private readonly rights: JobRights,
    private readonly queues: JobQueues,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
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
    return this.bodyOf(row);
  }

  async get(id: number, caller: JobCaller): Promise<TriggerBody> {
    return this.bodyOf(await this.rows.visible(id, caller));
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
      return { bodies: await this.bodiesOf(rows), total };
    }
    const visible = rows.filter((row) => isTriggerWithin(row, caller));
    return { bodies: await this.bodiesOf(visible.slice(skip, skip + take)), total: visible.length };
  }

  async update(id: number, request: UpdateTriggerRequest, caller: JobCaller): Promise<TriggerBody> {
    const before = await this.rows.visible(id, caller);
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
    const row = await this.rows.visible(id, caller);
    await this.arm(row);
    return this.bodyOf(row);
  }

  async delete(id: number, caller: JobCaller): Promise<void> {
    await this.rows.visible(id, caller);
    await this.queues.periodic.unschedule(scheduleName(id));
    await this.database.transaction((manager) => manager.delete(JobTriggerEntity, { id }));
  }

  /**
   * Fires at once, as if the time had come. What the origin or registry refuses stands in the row.
   * @throws DfError `resource-exhausted` (429) by the quotas of the owner's tenant
   */
  async runNow(id: number, caller: JobCaller): Promise<TriggerBody> {
    await this.rows.visible(id, caller);
    const failure = await this.runs.fire(id, AbortSignal.timeout(DELETE_WAIT_MS), FIRING_WAIT_MS);
    if (failure === 'busy') {
      throw new DfError('failed-precondition', 'the trigger is firing already');
    }
    if (failure?.code === 'resource-exhausted') {
      throw failure;
    }
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

  /** A push trigger by its name, for a registry that tells of pushes. @throws DfError `not-found` */
  async pushTrigger(name: string, caller: JobCaller): Promise<JobTriggerEntity> {
    const row = await this.database.manager.findOneBy(JobTriggerEntity, { name, kind: 'push', isDel: 0 });
    if (!row?.isEnabled || !isTriggerWithin(row, caller)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return row;
  }

  private async bodyOf(row: JobTriggerEntity): Promise<TriggerBody> {
    return triggerBody(row, await this.rights.refusal(triggerWork(row)));
  }

  private bodiesOf(rows: readonly JobTriggerEntity[]): Promise<TriggerBody[]> {
    return Promise.all(rows.map((row) => this.bodyOf(row)));
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
  const watched = URL.parse(watch?.url ?? '');
  if (watched && (watched.username !== '' || watched.password !== '')) {
    // It would stand in the table and in what is kept of each look; arguments are sealed.
    throw new DfError(
      'invalid-argument',
      'watch.url: must hold no user name; job.args has username, password and headers',
    );
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
