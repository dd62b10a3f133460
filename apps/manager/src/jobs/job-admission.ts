import { Injectable } from '@nestjs/common';
import { TenantQuotas } from '../auth/tenant-quotas.js';
import { JobRateLimit } from './job-rate-limit.js';
import type { JobOwner } from './job-rights.js';
import { JobsService } from './jobs.service.js';

/** Whether one more job may begin. Every way to a job passes here: requests, Harbor, registries, schedules, watches. */
@Injectable()
export class JobAdmission {
  constructor(
    private readonly limit: JobRateLimit,
    private readonly quotas: TenantQuotas,
    private readonly jobs: JobsService,
  ) {}

  /**
   * Counts one job that somebody asks for now.
   * @param clusterIds clusters that the request names
   * @throws DfError `resource-exhausted` (429) by the rate of a cluster or the quotas of the tenant
   */
  async admit(owner: JobOwner, clusterIds: readonly number[] = []): Promise<void> {
    await this.limit.take(clusterIds);
    await this.charge(owner);
  }

  /**
   * Counts one job for the tenant of its owner.
   * @throws DfError `resource-exhausted` (429)
   */
  async charge(owner: JobOwner): Promise<void> {
    await this.quotas.takeJob(owner);
    await this.quotas.requireRoom(owner, 'running_jobs', () => this.jobs.countRunning(owner));
  }
}
