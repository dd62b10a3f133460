import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { ManagerMetrics } from '../status/manager-metrics.js';
import type { JobType } from './job-requests.js';

/** Counters of jobs, under the original's names. */
@Injectable()
export class JobMetrics {
  private readonly created: Counter<'name'>;
  private readonly succeeded: Counter<'name'>;

  constructor({ registry }: ManagerMetrics) {
    this.created = new Counter({
      name: 'dragonfly_manager_create_job_total',
      help: 'Requests for jobs, by their type.',
      labelNames: ['name'],
      registers: [registry],
    });
    this.succeeded = new Counter({
      name: 'dragonfly_manager_create_job_success_total',
      help: 'Requests for jobs that were accepted, by their type.',
      labelNames: ['name'],
      registers: [registry],
    });
  }

  async countCreation<T>(name: JobType, create: () => Promise<T>): Promise<T> {
    this.created.inc({ name });
    const made = await create();
    this.succeeded.inc({ name });
    return made;
  }
}
