import { DatabaseJobQueue, type JobQueue } from '@dragonfly/jobs';
import type { RedisKvOptions } from '@dragonfly/kv';
import type { Database } from '@dragonfly/persistence';
import { AddressGuard, GuardedHttp } from '@dragonfly/registry';
import type { ClientTls } from '@dragonfly/rpc';
import { SchedulerClients } from './dispatch/scheduler-clients.js';
import type { JobSettings } from './job-settings.js';
import { SecretBox } from './secret-box.js';

/** The queues of jobs: what runs for long, what is told to others, and what is looked after again and again. */
export class JobQueues {
  constructor(
    readonly jobs: JobQueue,
    readonly webhooks: JobQueue,
    readonly periodic: JobQueue,
  ) {}

  async close(): Promise<void> {
    await Promise.all([this.jobs.close(), this.webhooks.close(), this.periodic.close()]);
  }
}

/** Connections and settings that jobs have beside those of the whole application. */
export interface JobParts {
  readonly settings: JobSettings;
  readonly queues: JobQueues;
  readonly secrets: SecretBox;
  readonly guard: AddressGuard;
  readonly http: GuardedHttp;
  readonly clients: SchedulerClients;
  close(): Promise<void>;
}

export interface JobPartsOptions {
  settings: JobSettings;
  database: Database;
  /** Undefined = the queues live in the database. */
  redis: RedisKvOptions | undefined;
  /** Number of the Redis database of the queues. */
  redisDb: number;
  /** The managers' common secret. */
  key: Uint8Array;
  /** Towards schedulers and daemons. @default none */
  tls?: ClientTls;
  /** @default 30000 */
  leaseMs?: number;
  onError: (error: unknown) => void;
}

export async function openJobParts(options: JobPartsOptions): Promise<JobParts> {
  const { settings } = options;
  const open = await queueOpener(options);
  const queues = new JobQueues(open('jobs'), open('webhooks'), open('periodic'));
  const guard = new AddressGuard({ allow: settings.allowedAddresses, allowedRanges: settings.allowedRanges });
  const http = new GuardedHttp({ guard });
  const clients = new SchedulerClients(options.tls);
  return {
    settings,
    queues,
    secrets: new SecretBox(options.key),
    guard,
    http,
    clients,
    close: async () => {
      await queues.close();
      clients.close();
      await http.close();
    },
  };
}

/** BullMQ and what it brings are loaded only where there is a Redis. */
async function queueOpener(options: JobPartsOptions): Promise<(name: string) => JobQueue> {
  const { database, redis, redisDb, onError, leaseMs } = options;
  if (!redis) {
    return (name) =>
      new DatabaseJobQueue({ database, name, isSoleProcess: database.dialect === 'sqlite', leaseMs, onError });
  }
  const { BullmqJobQueue } = await import('@dragonfly/jobs/bullmq');
  return (name) => new BullmqJobQueue({ ...redis, db: redisDb, name, prefix: 'dragonfly-jobs', leaseMs, onError });
}
