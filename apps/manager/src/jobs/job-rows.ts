import type { JsonObject } from '@dragonfly/persistence';
import {
  Database,
  insertRow,
  JobEntity,
  JobRunEntity,
  JobSchedulerClusterEntity,
  JobSeedPeerClusterEntity,
  SchedulerClusterEntity,
  SeedPeerClusterEntity,
  WebhookDeliveryEntity,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, type EntityManager } from 'typeorm';
import { Clock } from '../clock.js';

/** A job with what only its runner knows. */
export interface JobRow {
  readonly job: JobEntity;
  readonly run: JobRunEntity;
}

export interface NewJob {
  readonly taskId: string;
  readonly bio: string;
  readonly type: string;
  /** Without secrets. */
  readonly args: JsonObject;
  readonly userId: number;
  readonly clusterIds: readonly number[];
  readonly secrets: string | null;
  readonly plan: JsonObject;
  readonly webhook: JsonObject;
  readonly triggerId?: number;
}

/** How a job ended, for its row. */
export interface JobEnd {
  readonly state: 'SUCCESS' | 'FAILURE';
  readonly result: JsonObject;
  /** Message to somebody who wants to know; sealed secret. */
  readonly delivery: { url: string; event: string; body: string; secret: string | null } | undefined;
}

const BATCH = 1_000;

/** Rows of jobs and of how they are carried out. */
@Injectable()
export class JobRows {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  async insert(job: NewJob): Promise<JobRow> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const id = await insertRow(manager, JobEntity, now, {
        taskId: job.taskId,
        bio: job.bio,
        type: job.type,
        state: 'PENDING',
        args: job.args,
        result: null as never,
        userId: job.userId,
      });
      if (job.clusterIds.length > 0) {
        await manager.insert(
          JobSchedulerClusterEntity,
          job.clusterIds.map((schedulerClusterId) => ({ schedulerClusterId, jobId: id })),
        );
      }
      const run = {
        jobId: id,
        tryNumber: 1,
        secrets: job.secrets,
        plan: job.plan,
        webhook: job.webhook,
        triggerId: job.triggerId ?? null,
        isCancelled: false,
      };
      await manager.insert(JobRunEntity, run as never);
      return rowOf(manager, id);
    });
  }

  /** A row without an entry of ours beside it: what is done at once, or by the manager itself. */
  async insertBare(job: Pick<NewJob, 'taskId' | 'bio' | 'type' | 'args' | 'userId'>): Promise<JobEntity> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const id = await insertRow(manager, JobEntity, now, { ...job, state: 'PENDING', result: null as never });
      return manager.findOneByOrFail(JobEntity, { id });
    });
  }

  async finishBare(id: number, state: 'SUCCESS' | 'FAILURE', result: JsonObject): Promise<JobEntity> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      await manager.update(JobEntity, { id }, { state, result, updatedAt: now } as never);
      return manager.findOneByOrFail(JobEntity, { id });
    });
  }

  /** @returns undefined when the job is gone, or was never one of ours to run */
  async find(id: number): Promise<JobRow | undefined> {
    return this.database.transaction(async (manager) => {
      const job = await manager.findOneBy(JobEntity, { id, isDel: 0 });
      const run = await manager.findOneBy(JobRunEntity, { jobId: id });
      return job && run ? { job, run } : undefined;
    });
  }

  async clustersOf(
    id: number,
  ): Promise<{ schedulerClusters: SchedulerClusterEntity[]; seedPeerClusters: SeedPeerClusterEntity[] }> {
    const { manager } = this.database;
    const links = await manager.findBy(JobSchedulerClusterEntity, { jobId: id });
    const seedLinks = await manager.findBy(JobSeedPeerClusterEntity, { jobId: id });
    return {
      schedulerClusters: await manager.findBy(SchedulerClusterEntity, {
        id: In(links.map((link) => link.schedulerClusterId)),
        isDel: 0,
      }),
      seedPeerClusters: await manager.findBy(SeedPeerClusterEntity, {
        id: In(seedLinks.map((link) => link.seedPeerClusterId)),
        isDel: 0,
      }),
    };
  }

  /** Keeps how far a running job is. @returns false when it has ended meanwhile */
  async noteProgress(id: number, result: JsonObject): Promise<boolean> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const { affected } = await manager.update(JobEntity, { id, state: 'PENDING' }, {
        result,
        updatedAt: now,
      } as never);
      return (affected ?? 0) > 0;
    });
  }

  async noteStart(id: number): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction((manager) =>
      manager.update(JobRunEntity, { jobId: id, startedAt: IsNull() }, { startedAt: now }),
    );
  }

  /**
   * Ends a job, once. Secrets of one that succeeded go; those of a failed one stay, sealed, for another try.
   * @returns id of the message to be delivered, undefined when there is none or the job had ended before
   */
  async finish(id: number, end: JobEnd): Promise<{ isFirst: boolean; deliveryId: number | undefined }> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const { affected } = await manager.update(JobEntity, { id, state: 'PENDING' }, {
        state: end.state,
        result: end.result,
        updatedAt: now,
      } as never);
      if ((affected ?? 0) === 0) {
        return { isFirst: false, deliveryId: undefined };
      }
      await manager.update(
        JobRunEntity,
        { jobId: id },
        { finishedAt: now, ...(end.state === 'SUCCESS' ? { secrets: null } : {}) },
      );
      const deliveryId = end.delivery
        ? await insertRow(manager, WebhookDeliveryEntity, now, {
            ...end.delivery,
            jobId: id,
            state: 'PENDING',
            attempts: 0,
          })
        : undefined;
      return { isFirst: true, deliveryId };
    });
  }

  async markCancelled(id: number): Promise<boolean> {
    return this.database.transaction(async (manager) => {
      const { affected } = await manager.update(
        JobRunEntity,
        { jobId: id, finishedAt: IsNull() },
        { isCancelled: true },
      );
      return (affected ?? 0) > 0;
    });
  }

  /** Makes a failed job pending again. @returns the number of the new try, undefined when it has not failed */
  async restart(id: number): Promise<number | undefined> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const { affected } = await manager.update(
        JobEntity,
        { id, state: 'FAILURE' },
        {
          state: 'PENDING',
          result: {},
          updatedAt: now,
        },
      );
      const run = await manager.findOneBy(JobRunEntity, { jobId: id });
      if ((affected ?? 0) === 0 || !run) {
        return undefined;
      }
      const tryNumber = run.tryNumber + 1;
      await manager.update(
        JobRunEntity,
        { jobId: id },
        { tryNumber, isCancelled: false, startedAt: null, finishedAt: null },
      );
      return tryNumber;
    });
  }

  async update(id: number, changes: { bio?: string; userId?: number }): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction((manager) =>
      manager.update(JobEntity, { id, isDel: 0 }, { ...changes, updatedAt: now }),
    );
  }

  async delete(ids: readonly number[]): Promise<void> {
    await this.database.transaction((manager) => deleteJobs(manager, ids));
  }

  /** Jobs that are not over. */
  async unfinished(): Promise<JobRow[]> {
    return this.database.transaction(async (manager) => {
      const runs = await manager.find(JobRunEntity, { where: { finishedAt: IsNull() }, take: BATCH });
      const jobs = await manager.findBy(JobEntity, { id: In(runs.map((run) => run.jobId)), isDel: 0 });
      const byId = new Map(jobs.map((job) => [job.id, job]));
      return runs.flatMap((run) => {
        const job = byId.get(run.jobId);
        return job ? [{ job, run }] : [];
      });
    });
  }

  /** Pending jobs that nobody runs: of a manager of the original, or done by a manager that ended in the middle. */
  async orphans(before: Date): Promise<JobEntity[]> {
    return this.database.transaction(async (manager) => {
      const pending = await manager.find(JobEntity, {
        where: { state: 'PENDING', isDel: 0, createdAt: LessThan(before) },
        take: BATCH,
      });
      const runs = await manager.findBy(JobRunEntity, { jobId: In(pending.map((job) => job.id)) });
      const known = new Set(runs.map((run) => run.jobId));
      return pending.filter((job) => !known.has(job.id));
    });
  }
}

/** Deletes jobs with everything that belongs to them. */
export async function deleteJobs(manager: EntityManager, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) {
    return;
  }
  const jobId = In([...ids]);
  await manager.delete(JobSchedulerClusterEntity, { jobId });
  await manager.delete(JobSeedPeerClusterEntity, { jobId });
  await manager.delete(WebhookDeliveryEntity, { jobId });
  await manager.delete(JobRunEntity, { jobId });
  await manager.delete(JobEntity, { id: In([...ids]) });
}

async function rowOf(manager: EntityManager, id: number): Promise<JobRow> {
  return {
    job: await manager.findOneByOrFail(JobEntity, { id }),
    run: await manager.findOneByOrFail(JobRunEntity, { jobId: id }),
  };
}
