import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { JobTriggerEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { JobAdmission } from '../jobs/job-admission.js';
import { isLossOfRights, type JobOwner, JobRights } from '../jobs/job-rights.js';
import { JobsService } from '../jobs/jobs.service.js';
import { Logger } from '../logger.js';
import { Turns } from '../turns.js';
import type { TriggerJob, WatchSpec } from './trigger-requests.js';
import { TriggerRows, triggerWork } from './trigger-rows.js';
import { Watchers } from './watchers.js';

/** Preheats begun at one look; the rest is found at the next one. */
const MAX_JOBS_PER_LOOK = 50;
/** Longest wait for old content to be deleted before the new one is fetched. */
export const DELETE_WAIT_MS = 120_000;
const DELETE_POLL_MS = 250;
const LOCK_TTL_MS = 60_000;

/**
 * What a trigger does when its time has come. Its jobs are its owner's: they count for the owner's tenant, and what the
 * owner has lost since the trigger was made is not touched, nor looked at.
 */
@Injectable()
export class TriggerRuns {
  constructor(
    private readonly rows: TriggerRows,
    private readonly jobs: JobsService,
    private readonly watchers: Watchers,
    private readonly admission: JobAdmission,
    private readonly rights: JobRights,
    private readonly turns: Turns,
    private readonly log: Logger,
  ) {}

  /**
   * Fires a trigger. Of several managers one does at a time.
   * @param waitMs longest wait for another firing of it to end
   * @returns why it did not begin everything it should have, which its row tells too; 'busy' while it is firing already
   */
  async fire(id: number, signal: AbortSignal, waitMs = 0): Promise<DfError | 'busy' | undefined> {
    return this.turns.run(`manager:trigger:${id}`, { ttlMs: LOCK_TTL_MS, waitMs, signal }, async () => {
      const row = await this.rows.find(id);
      if (!row) {
        return undefined;
      }
      try {
        await this.rights.require(triggerWork(row));
        await (row.kind === 'watch' ? this.look(row, signal) : this.start(row, this.rows.jobOf(row).args, []));
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        const failure = DfError.from(error);
        await this.noteFailure(row, failure);
        return failure;
      }
    });
  }

  /**
   * Preheats what a registry has told of.
   * @returns the job's id
   * @throws DfError as {@link start}; the row tells it too
   */
  async push(row: JobTriggerEntity, manifestUrl: string): Promise<number> {
    try {
      return await this.start(row, { url: manifestUrl, urls: undefined }, []);
    } catch (error) {
      const failure = DfError.from(error);
      await this.noteFailure(row, failure);
      throw failure;
    }
  }

  /**
   * Preheats one image or file with the trigger's arguments.
   * @returns the job's id
   * @throws DfError `resource-exhausted` by the quotas of the owner's tenant, `permission-denied` for what its owner has lost
   */
  private async start(
    row: JobTriggerEntity,
    over: Partial<TriggerJob['args']>,
    changed: readonly string[],
  ): Promise<number> {
    const job = this.rows.jobOf(row);
    const owner = await this.rights.require(triggerWork(row));
    await this.admission.charge(owner);
    for (const url of changed) {
      await this.deleteOld(url, job, owner);
    }
    const { id } = await this.jobs.preheat(
      {
        bio: job.bio || `trigger ${row.name}`,
        args: { ...job.args, ...over },
        scheduler_cluster_ids: job.scheduler_cluster_ids,
        webhook: job.webhook,
      },
      owner,
      { id: row.id, isChecked: true },
    );
    await this.rows.noteFired(row.id, id);
    return id;
  }

  private async look(row: JobTriggerEntity, signal: AbortSignal): Promise<void> {
    const job = this.rows.jobOf(row);
    const { seen, news, changed } = await this.watchers.look(row.watch as unknown as WatchSpec, job, row.seen, signal);
    let begun = 0;
    let refusal: DfError | undefined;
    for (const url of news.slice(0, MAX_JOBS_PER_LOOK)) {
      try {
        await this.start(row, { url, urls: undefined }, changed.includes(url) ? [url] : []);
        begun += 1;
      } catch (error) {
        const failure = DfError.from(error);
        if (failure.code !== 'resource-exhausted') {
          throw failure;
        }
        refusal = failure;
        break;
      }
    }
    // After the jobs: a manager that ends in between finds the same news again rather than none.
    await this.rows.note(row.id, { seen: { marks: marksWithout(news.slice(begun), seen, row.seen) }, lastError: '' });
    if (refusal) {
      throw refusal;
    }
  }

  /** Each loss of rights is one entry of the audit log, however often the trigger's time comes. */
  private async noteFailure(row: JobTriggerEntity, failure: DfError): Promise<void> {
    const { id, userId } = row;
    this.log.info({ triggerId: id, userId, reason: failure.message }, 'trigger failed');
    await this.rows.noteFailure(id, failure.message);
    if (isLossOfRights(failure) && row.lastError !== failure.message) {
      await this.rights.recordRefusal(userId ?? 0, `/api/v1/jobs/triggers/${id}`, failure.message);
    }
  }

  /** Cached content of the URL is of the past: a preheat would find it there and fetch nothing. */
  private async deleteOld(url: string, job: TriggerJob, owner: JobOwner): Promise<void> {
    const { tag, application, piece_length, filtered_query_params } = job.args;
    const { id } = await this.jobs.task(
      'delete_task',
      {
        bio: 'the content has changed',
        args: { url, tag, application, piece_length, filtered_query_params } as never,
        scheduler_cluster_ids: job.scheduler_cluster_ids,
      },
      owner,
    );
    const giveUpAtMs = performance.now() + DELETE_WAIT_MS;
    while (performance.now() < giveUpAtMs && (await this.rows.isJobPending(id))) {
      await delay(DELETE_POLL_MS, undefined, { ref: false });
    }
  }
}

/** What was seen, but for the news that were not begun: the next look is to find them as this one did. */
function marksWithout(
  left: readonly string[],
  seen: Readonly<Record<string, unknown>>,
  before: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const marks = { ...(seen['marks'] as Record<string, string>) };
  const old = (before['marks'] ?? {}) as Record<string, string>;
  for (const url of left) {
    const mark = old[url];
    if (mark === undefined) {
      delete marks[url];
    } else {
      marks[url] = mark;
    }
  }
  return marks;
}
