import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { AuditEntity, ConfigEntity, Database, JobEntity, type JsonObject } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In, LessThan } from 'typeorm';
import { Clock } from '../clock.js';
import { jobBody, type JobBody } from '../jobs/job-body.js';
import { deleteJobs, JobRows } from '../jobs/job-rows.js';
import { Logger } from '../logger.js';
import { Turns } from '../turns.js';
import { gcTtlNs, type GcType } from './gc-ttl.js';

/** Rows deleted at a time. Source: the original. */
const BATCH = 5_000;
/** Batches of one run; the next run goes on. */
const MAX_BATCHES = 1_000;
const LOCK_TTL_MS = 60_000;
const MANUAL_WAIT_MS = 30_000;

/** Deletes jobs and audit entries that are older than the configuration `gc` says. */
@Injectable()
export class GcService {
  constructor(
    private readonly database: Database,
    private readonly rows: JobRows,
    private readonly turns: Turns,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** The periodic run; a row tells of it under the type's name, as the original's do. */
  async runPeriodic(type: GcType): Promise<void> {
    await this.run(type, type, 0, 0);
  }

  /**
   * Runs at once and waits for the end.
   * @throws DfError `unavailable` when another run of the type goes on for too long
   */
  async runNow(type: GcType, userId: number): Promise<JobBody> {
    const job = await this.run(type, randomUUID(), userId, MANUAL_WAIT_MS);
    if (!job) {
      throw new DfError('unavailable', `gc ${type} job is running`);
    }
    return jobBody(job, { schedulerClusters: [], seedPeerClusters: [] });
  }

  private async run(type: GcType, taskId: string, userId: number, waitMs: number): Promise<JobEntity | undefined> {
    const done = await this.turns.run(`manager:gc:${type}`, { ttlMs: LOCK_TTL_MS, waitMs }, async (lost) => {
      const ttlNs = await this.ttlNs(type);
      const args: JsonObject = { batch_size: BATCH, ttl: ttlNs, type };
      const job = await this.rows.insertBare({ taskId, bio: '', type: 'gc', args, userId });
      try {
        const purged = await this.purge(type, ttlNs / 1e6, job.id, lost);
        return await this.rows.finishBare(job.id, 'SUCCESS', { purged });
      } catch (error) {
        const failure = DfError.from(error);
        this.log.warn({ err: failure, type }, 'garbage collection failed');
        return this.rows.finishBare(job.id, 'FAILURE', { purged: 0, error: failure.message });
      }
    });
    return done === 'busy' ? undefined : done;
  }

  private async ttlNs(type: GcType): Promise<number> {
    const row = await this.database.manager.findOneBy(ConfigEntity, { name: 'gc', isDel: 0 });
    try {
      return gcTtlNs(row?.value, type);
    } catch (error) {
      this.log.warn({ err: error }, 'the configuration gc is no JSON: defaults are used');
      return gcTtlNs(undefined, type);
    }
  }

  /** @param ownId the row of this run stays */
  private async purge(type: GcType, ttlMs: number, ownId: number, lost: AbortSignal): Promise<number> {
    const createdAt = LessThan(new Date(this.clock.now().getTime() - ttlMs));
    let purged = 0;
    for (let batches = 0; batches < MAX_BATCHES && !lost.aborted; batches += 1) {
      const deleted = await this.database.transaction(async (manager) => {
        const target = type === 'job' ? JobEntity : AuditEntity;
        const old = await manager.find<JobEntity | AuditEntity>(target, {
          where: { createdAt },
          select: { id: true },
          order: { id: 'ASC' },
          take: BATCH,
        });
        const ids = old.map((row) => row.id).filter((id) => type !== 'job' || id !== ownId);
        if (type === 'job') {
          await deleteJobs(manager, ids);
        } else if (ids.length > 0) {
          await manager.delete(AuditEntity, { id: In(ids) });
        }
        return ids.length;
      });
      purged += deleted;
      if (deleted < BATCH) {
        break;
      }
    }
    return purged;
  }
}
