import { Database, WebhookDeliveryEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { WebhookSender } from '../webhooks/webhook-sender.js';
import { Turns } from '../turns.js';
import { JobEnds } from './job-ends.js';
import { JobQueues } from './job-parts.js';
import { type JobRow, JobRows } from './job-rows.js';
import { enqueueRun, runQueueId } from './run-queue.js';

const LOCK_TTL_MS = 60_000;
/** A job whose entry has ended may be just writing its end. */
const SETTLE_MS = 15_000;
/** A pending job without a runner of ours is given up after so long: longer than any that the original polls for. */
const ORPHAN_MS = 2 * 3_600_000;
const DELIVERIES = 500;

/**
 * Sees to it that no job stays pending for ever. Rows are the truth: a job whose entry is missing in the queue (it could
 * not be put in, or the store lost it) is put in again, one whose entry has ended without the job is failed.
 */
@Injectable()
export class JobReconciler {
  constructor(
    private readonly rows: JobRows,
    private readonly ends: JobEnds,
    private readonly queues: JobQueues,
    private readonly webhooks: WebhookSender,
    private readonly database: Database,
    private readonly turns: Turns,
    private readonly clock: Clock,
  ) {}

  /** One manager at a time; the others have nothing to do. */
  async reconcile(): Promise<void> {
    await this.turns.run('manager:job-reconciler', { ttlMs: LOCK_TTL_MS }, async (lost) => {
      for (const row of await this.rows.unfinished()) {
        if (lost.aborted) {
          return;
        }
        await this.reconcileJob(row);
      }
      await this.reconcileDeliveries();
      await this.giveUpOrphans();
    });
  }

  private async reconcileJob(row: JobRow): Promise<void> {
    const entry = await this.queues.jobs.find(runQueueId(row.job, row.run.tryNumber));
    if (!entry) {
      await enqueueRun(this.queues, row.job, row.run.tryNumber);
      return;
    }
    const untouchedMs = this.clock.now().getTime() - (row.job.updatedAt?.getTime() ?? 0);
    if (entry.state === 'waiting' || entry.state === 'active' || untouchedMs < SETTLE_MS) {
      return;
    }
    await (entry.state === 'cancelled'
      ? this.ends.cancelled(row)
      : this.ends.failed(row, entry.error ?? 'its run ended without a result'));
  }

  private async reconcileDeliveries(): Promise<void> {
    const pending = await this.database.transaction((manager) =>
      manager.find(WebhookDeliveryEntity, { where: { state: 'PENDING' }, take: DELIVERIES }),
    );
    for (const row of pending) {
      await this.webhooks.enqueue(row.id);
    }
  }

  private async giveUpOrphans(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - ORPHAN_MS);
    for (const job of await this.rows.orphans(before)) {
      await this.rows.finishBare(job.id, 'FAILURE', {
        ...job.result,
        state: 'FAILURE',
        error: 'the manager that ran the job has ended',
      });
    }
  }
}
