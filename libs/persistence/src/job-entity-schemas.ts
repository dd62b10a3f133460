import { EntitySchema, type EntitySchemaColumnOptions, type EntitySchemaIndexOptions } from 'typeorm';
import type { Columns } from './columns.js';
import {
  BandwidthEntity,
  JobRunEntity,
  JobTriggerEntity,
  QueueJobEntity,
  QueueScheduleEntity,
  WebhookDeliveryEntity,
} from './job-entities.js';

const OPTIONAL = { nullable: true } as const;

function table<T extends object>(
  tableName: string,
  target: new () => T,
  columns: { [K in keyof T]: EntitySchemaColumnOptions },
  indices: EntitySchemaIndexOptions[] = [],
): EntitySchema {
  return new EntitySchema<T>({ name: target.name, tableName, target, columns: columns, indices });
}

const key = (column: EntitySchemaColumnOptions): EntitySchemaColumnOptions => ({ ...column, primary: true });

/** Schemas of the tables about jobs. */
export function jobEntitySchemas(c: Columns): EntitySchema[] {
  return [
    table(
      'queue_job',
      QueueJobEntity,
      {
        queue: key(c.varchar('queue', 64)),
        id: key(c.varchar('id', 128)),
        kind: c.varchar('kind', 64),
        payload: c.json('payload'),
        state: c.varchar('state', 16),
        runAt: c.big('run_at'),
        attempt: c.int('attempt'),
        maxAttempts: c.int('max_attempts'),
        backoffMs: c.int('backoff_ms'),
        owner: c.varchar('owner', 64, OPTIONAL),
        leaseUntil: c.big('lease_until', OPTIONAL),
        isCancelled: c.boolean('is_cancelled'),
        progress: c.json('progress', OPTIONAL),
        result: c.json('result', OPTIONAL),
        error: c.longText('error', OPTIONAL),
        createdAt: c.big('created_at'),
        finishedAt: c.big('finished_at', OPTIONAL),
      },
      [{ name: 'idx_queue_job_due', columns: ['queue', 'state', 'runAt'] }],
    ),
    table('queue_schedule', QueueScheduleEntity, {
      queue: key(c.varchar('queue', 64)),
      name: key(c.varchar('name', 128)),
      kind: c.varchar('kind', 64),
      payload: c.json('payload'),
      cron: c.varchar('cron', 256, OPTIONAL),
      everyMs: c.big('every_ms', OPTIONAL),
      maxAttempts: c.int('max_attempts'),
      backoffMs: c.int('backoff_ms'),
      nextAt: c.big('next_at'),
    }),
    table(
      'job_run',
      JobRunEntity,
      {
        jobId: key(c.bigUnsigned('job_id')),
        tryNumber: c.int('try_number'),
        secrets: c.longText('secrets', OPTIONAL),
        plan: c.json('plan'),
        progress: c.json('progress', OPTIONAL),
        webhook: c.json('webhook', OPTIONAL),
        triggerId: c.bigUnsigned('trigger_id', OPTIONAL),
        isCancelled: c.boolean('is_cancelled'),
        startedAt: c.dateTime('started_at'),
        finishedAt: c.dateTime('finished_at'),
      },
      [{ name: 'idx_job_run_finished_at', columns: ['finishedAt'] }],
    ),
    table(
      'job_trigger',
      JobTriggerEntity,
      {
        ...c.resource(),
        name: c.varchar('name', 256),
        kind: c.varchar('kind', 32),
        isEnabled: c.boolean('is_enabled'),
        cron: c.varchar('cron', 256, OPTIONAL),
        intervalMs: c.big('interval_ms', OPTIONAL),
        job: c.json('job'),
        watch: c.json('watch', OPTIONAL),
        secrets: c.longText('secrets', OPTIONAL),
        seen: c.json('seen', OPTIONAL),
        lastFiredAt: c.dateTime('last_fired_at'),
        lastJobId: c.bigUnsigned('last_job_id', OPTIONAL),
        lastError: c.varchar('last_error', 1024, OPTIONAL),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
      [{ name: 'uk_job_trigger_name', columns: ['name'], unique: true }],
    ),
    table(
      'webhook_delivery',
      WebhookDeliveryEntity,
      {
        ...c.resource(),
        jobId: c.bigUnsigned('job_id'),
        url: c.longText('url'),
        event: c.varchar('event', 64),
        body: c.longText('body'),
        secret: c.longText('secret', OPTIONAL),
        state: c.varchar('state', 16),
        attempts: c.int('attempts'),
        statusCode: c.int('status_code', OPTIONAL),
        error: c.varchar('error', 1024, OPTIONAL),
      },
      [{ name: 'idx_webhook_delivery_job_id', columns: ['jobId'] }],
    ),
    table(
      'bandwidth',
      BandwidthEntity,
      {
        resolutionS: key(c.int('resolution_s')),
        beginsAt: key(c.big('begins_at')),
        schedulerId: key(c.bigUnsigned('scheduler_id')),
        grouping: key(c.varchar('grouping_kind', 16)),
        name: key(c.varchar('name', 256)),
        schedulerClusterId: c.bigUnsigned('scheduler_cluster_id'),
        downloads: c.big('downloads'),
        failures: c.big('failures'),
        bytesFromSource: c.big('bytes_from_source'),
        bytesFromPeers: c.big('bytes_from_peers'),
        bytesFromSeeds: c.big('bytes_from_seeds'),
        bytesAcrossIdcs: c.big('bytes_across_idcs'),
      },
      [
        {
          name: 'idx_bandwidth_series',
          columns: ['schedulerClusterId', 'grouping', 'resolutionS', 'beginsAt'],
        },
      ],
    ),
  ];
}
