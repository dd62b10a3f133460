import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { jsonTime } from '../rest/json-time.js';
import { Logger } from '../logger.js';
import { WebhookSender } from '../webhooks/webhook-sender.js';
import { resultBody, type SchedulerPart } from './job-result.js';
import { type JobRow, JobRows } from './job-rows.js';
import { type SealedJob, SecretBox } from './secret-box.js';

/** Writes how jobs ended, and has those told that want to know. */
@Injectable()
export class JobEnds {
  constructor(
    private readonly rows: JobRows,
    private readonly webhooks: WebhookSender,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  async over(row: JobRow, parts: readonly SchedulerPart[], isCancelled: boolean): Promise<void> {
    await this.finish(row, parts, isCancelled ? 'cancelled' : undefined);
  }

  async failed(row: JobRow, reason: string, parts: readonly SchedulerPart[] = []): Promise<void> {
    await this.finish(row, parts, reason);
  }

  async cancelled(row: JobRow): Promise<void> {
    await this.finish(row, [], 'cancelled');
  }

  private async finish(row: JobRow, parts: readonly SchedulerPart[], failure: string | undefined): Promise<void> {
    const { job, run } = row;
    const updatedAt = this.clock.now();
    const body = resultBody(job.taskId, parts, { createdAt: job.createdAt ?? updatedAt, updatedAt }, failure);
    const state = body.state === 'SUCCESS' ? 'SUCCESS' : 'FAILURE';
    const result = { ...body, state, ...(failure === 'cancelled' ? { cancelled: true } : {}) };
    const url = run.webhook['url'];
    const { isFirst, deliveryId } = await this.rows.finish(job.id, {
      state,
      result,
      delivery:
        typeof url === 'string'
          ? {
              url,
              event: 'job.finished',
              body: JSON.stringify({
                event: 'job.finished',
                at: jsonTime(updatedAt),
                job: {
                  id: job.id,
                  task_id: job.taskId,
                  type: job.type,
                  bio: job.bio ?? '',
                  state,
                  args: job.args,
                  result,
                },
              }),
              secret: this.webhookSecret(row),
            }
          : undefined,
    });
    if (isFirst) {
      this.log.info({ jobId: job.id, type: job.type, state }, 'job ended');
    }
    if (deliveryId !== undefined) {
      await this.webhooks.enqueue(deliveryId);
    }
  }

  private webhookSecret({ job, run }: JobRow): string | null {
    if (run.secrets === null) {
      return null;
    }
    try {
      const { webhookSecret } = this.secrets.open(run.secrets) as SealedJob;
      return webhookSecret === undefined ? null : this.secrets.seal(webhookSecret);
    } catch (error) {
      // The end of the job must be written all the same; the receiver will miss the signature.
      this.log.warn({ err: error, jobId: job.id }, 'the message about the job cannot be signed');
      return null;
    }
  }
}
