import { createHmac } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { GiveUpError, type JobContext } from '@dragonfly/jobs';
import { Database, updateRow, WebhookDeliveryEntity } from '@dragonfly/persistence';
import { GuardedHttp } from '@dragonfly/registry';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { JobQueues } from '../jobs/job-parts.js';
import { JobRights } from '../jobs/job-rights.js';
import { plainUrl } from '../jobs/masking.js';
import { SecretBox } from '../jobs/secret-box.js';
import { Logger } from '../logger.js';

/** Tries, and the pause after the first failure: 2 s, 4 s … about four minutes in all. */
const MAX_ATTEMPTS = 8;
const BACKOFF_MS = 2_000;
const TIMEOUT_MS = 10_000;
/** An answer is not read further. */
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_ERROR_LENGTH = 1_000;

/** Signature of a body at a time: what a receiver computes to know that the message is ours and recent. */
export function signatureOf(secret: string, timestampS: number, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestampS}.${body}`).digest('hex')}`;
}

/**
 * Sends messages to the webhooks that jobs named. Each is a row, tried a bounded number of times through the queue; a
 * receiver may get one twice (header `x-dragonfly-delivery` says which it is).
 */
@Injectable()
export class WebhookSender {
  constructor(
    private readonly database: Database,
    private readonly queues: JobQueues,
    private readonly http: GuardedHttp,
    private readonly secrets: SecretBox,
    private readonly rights: JobRights,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Puts a delivery into the queue; one that cannot be put in now is found again by the reconciler. */
  async enqueue(deliveryId: number): Promise<void> {
    try {
      await this.queues.webhooks.enqueue({
        id: `webhook-${deliveryId}`,
        kind: 'webhook',
        payload: { delivery_id: deliveryId },
        maxAttempts: MAX_ATTEMPTS,
        backoffMs: BACKOFF_MS,
      });
    } catch (error) {
      this.log.warn({ err: error, deliveryId }, 'a webhook could not be queued');
    }
  }

  /** The handler of the queue. */
  async deliver({ payload, signal, attempt }: JobContext): Promise<void> {
    const id = Number(payload['delivery_id']);
    const row = await this.database.transaction((manager) => manager.findOneBy(WebhookDeliveryEntity, { id }));
    if (row?.state !== 'PENDING') {
      return;
    }
    try {
      await this.requireRights(row);
      const statusCode = await this.send(row, attempt, signal);
      await this.note(id, { state: 'SUCCESS', attempts: attempt, statusCode, error: null, secret: null });
    } catch (error) {
      signal.throwIfAborted();
      const failure = DfError.from(error);
      const isHopeless = failure.code === 'permission-denied' || failure.code === 'invalid-argument';
      const isOver = isHopeless || attempt >= MAX_ATTEMPTS;
      const statusCode = failure.details['statusCode'];
      await this.note(id, {
        state: isOver ? 'FAILURE' : 'PENDING',
        attempts: attempt,
        statusCode: typeof statusCode === 'number' ? statusCode : null,
        error: failure.message.slice(0, MAX_ERROR_LENGTH),
        ...(isOver ? { secret: null } : {}),
      });
      this.log.info({ deliveryId: id, attempt, reason: failure.message, url: plainUrl(row.url) }, 'webhook failed');
      throw isHopeless ? new GiveUpError(failure.message) : failure;
    }
  }

  /** What happened in a cluster is not told to those who have lost it since. */
  private async requireRights({ jobId }: WebhookDeliveryEntity): Promise<void> {
    const refusal = await this.rights.refusalOfJob(jobId);
    if (refusal !== undefined) {
      throw new DfError('permission-denied', refusal);
    }
  }

  private async send(row: WebhookDeliveryEntity, attempt: number, signal: AbortSignal): Promise<number> {
    const timestampS = Math.floor(this.clock.now().getTime() / 1_000);
    const secret = row.secret === null ? undefined : (this.secrets.open(row.secret) as string);
    const { statusCode } = await this.http.request({
      url: row.url,
      method: 'POST',
      body: row.body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'dragonfly-manager',
        'x-dragonfly-event': row.event,
        'x-dragonfly-delivery': String(row.id),
        'x-dragonfly-attempt': String(attempt),
        'x-dragonfly-timestamp': String(timestampS),
        ...(secret === undefined ? {} : { 'x-dragonfly-signature': signatureOf(secret, timestampS, row.body) }),
      },
      timeoutMs: TIMEOUT_MS,
      maxBodyBytes: MAX_ANSWER_BYTES,
      signal,
    });
    if (statusCode < 200 || statusCode > 299) {
      throw new DfError('origin', `the receiver answered with status ${statusCode}`, { details: { statusCode } });
    }
    return statusCode;
  }

  private async note(id: number, changes: Partial<WebhookDeliveryEntity>): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction((manager) => updateRow(manager, WebhookDeliveryEntity, now, id, changes));
  }
}
