import { DfError } from '@dragonfly/errors';
import { Injectable } from '@nestjs/common';
import { AccessCache } from '../auth/access-directory.js';
import { TenantQuotas } from '../auth/tenant-quotas.js';
import type { TenantView } from '../auth/tenant-scope.js';
import type { JobCaller } from './job-caller.js';
import { JobRateLimit } from './job-rate-limit.js';
import { JobsService } from './jobs.service.js';

/** Somebody whose jobs count: the caller of a request, or the owner of a trigger. */
export type JobOwner = JobCaller & { readonly scope: { readonly tenant: TenantView | undefined } };

/** Whether one more job may begin. Every way to a job passes here: requests, Harbor, registries, schedules, watches. */
@Injectable()
export class JobAdmission {
  constructor(
    private readonly limit: JobRateLimit,
    private readonly quotas: TenantQuotas,
    private readonly jobs: JobsService,
    private readonly access: AccessCache,
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

  /**
   * An account as it is now, for what begins in its name by itself.
   * @param userId 0 = nobody's, which is limited by nothing
   * @throws DfError `permission-denied` when the account or its tenant is gone or disabled
   */
  async ownerOf(userId: number): Promise<JobOwner> {
    const access = await this.access.get();
    if (userId > 0 && !(await access.account(userId))?.isEnabled) {
      throw new DfError('permission-denied', `the account ${userId} is gone or disabled`);
    }
    return { userId, scope: access.scopeOf(userId) };
  }
}
