import { DfError } from '@dragonfly/errors';
import { Database, JobEntity, JobTriggerEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import type { JobCaller } from '../jobs/job-caller.js';
import type { OwnedWork } from '../jobs/job-rights.js';
import { isWithin } from '../jobs/job-visibility.js';
import { SecretBox } from '../jobs/secret-box.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import type { TriggerJob } from './trigger-requests.js';

const MAX_ERROR_LENGTH = 1_000;

/** Rows of triggers. */
@Injectable()
export class TriggerRows {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
  ) {}

  async find(id: number): Promise<JobTriggerEntity | undefined> {
    const row = await this.database.transaction((manager) => manager.findOneBy(JobTriggerEntity, { id, isDel: 0 }));
    return row ?? undefined;
  }

  /** @throws DfError `not-found`, also for one of somebody whom the caller may not see */
  async visible(id: number, caller: JobCaller): Promise<JobTriggerEntity> {
    const row = await rowById(this.database.manager, JobTriggerEntity, id);
    if (!isTriggerWithin(row, caller)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return row;
  }

  async note(id: number, changes: Partial<JobTriggerEntity>): Promise<void> {
    await this.database.transaction((manager) => updateRow(manager, JobTriggerEntity, this.clock.now(), id, changes));
  }

  async noteFired(id: number, jobId: number): Promise<void> {
    await this.note(id, { lastFiredAt: this.clock.now(), lastJobId: jobId, lastError: '' });
  }

  async noteFailure(id: number, message: string): Promise<void> {
    await this.note(id, { lastError: message.slice(0, MAX_ERROR_LENGTH) });
  }

  /** With its secrets. */
  jobOf(row: JobTriggerEntity): TriggerJob {
    return (row.secrets === null ? row.job : this.secrets.open(row.secrets)) as TriggerJob;
  }

  async isJobPending(jobId: number): Promise<boolean> {
    return (await this.database.manager.findOneByOrFail(JobEntity, { id: jobId })).state === 'PENDING';
  }
}

/** What a trigger does in whose name. */
export function triggerWork({ userId, job }: JobTriggerEntity): OwnedWork {
  const { scheduler_cluster_ids: clusterIds, args } = job as unknown as TriggerJob;
  return { userId: userId ?? 0, clusterIds: clusterIds ?? [], application: args.application };
}

/** Whether all that a trigger is for lies within what the caller may touch. */
export function isTriggerWithin({ userId, job }: JobTriggerEntity, caller: JobCaller): boolean {
  const { scheduler_cluster_ids: clusterIds, args } = job as unknown as TriggerJob;
  return isWithin({ userId, clusterIds: clusterIds ?? [], args: { ...args } }, caller);
}
