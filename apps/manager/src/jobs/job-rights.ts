import { DfError } from '@dragonfly/errors';
import { Database, JobEntity, JobSchedulerClusterEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { AccessCache } from '../auth/access-directory.js';
import type { TenantView } from '../auth/tenant-scope.js';
import { AuditLog } from '../audit/audit-log.js';
import type { JobCaller } from './job-caller.js';

/** Somebody whose jobs count: the caller of a request, or the owner of a trigger. */
export type JobOwner = JobCaller & { readonly scope: { readonly tenant: TenantView | undefined } };

/** Object of the permission for jobs. */
const JOBS = 'jobs';
const LOST = 'lost';

/** What goes on in an account's name when the account itself is not there to ask. */
export interface OwnedWork {
  /** 0 = nobody's, which is limited by nothing. */
  readonly userId: number;
  /** Scheduler clusters that it is for; none = all that are the owner's. */
  readonly clusterIds: readonly number[];
  readonly application: string | undefined;
}

/**
 * Whether what an account has begun may go on. Rights are given when a job or trigger is made, and may be taken at any time
 * afterwards: triggers ask before each firing, runners before and while they run, messages about ends before each try.
 */
@Injectable()
export class JobRights {
  constructor(
    private readonly access: AccessCache,
    private readonly database: Database,
    private readonly audit: AuditLog,
  ) {}

  /**
   * The owner as it is now.
   * @throws DfError `permission-denied` telling what has been taken from it: the account, a cluster, an application
   */
  async require(work: OwnedWork): Promise<JobOwner> {
    const { userId } = work;
    const access = await this.access.get();
    if (userId > 0 && !(await access.account(userId))?.isEnabled) {
      throw refused(`the account ${userId} is gone or disabled`);
    }
    const owner = { userId, scope: access.scopeOf(userId) };
    // Without a tenant it would be limited by nothing: it must be one that was given a role for that.
    const isNobodys = userId > 0 && owner.scope.isUnlimited && access.hasTenants;
    const reason =
      isNobodys && !access.policies.allows(userId, JOBS, '*')
        ? `the account ${userId} is not (or no longer) of any tenant, and has no role for jobs`
        : refusalOf(work, owner);
    if (reason !== undefined) {
      throw refused(reason);
    }
    return owner;
  }

  /** @returns why the work may not go on; undefined when it may */
  async refusal(work: OwnedWork): Promise<string | undefined> {
    try {
      await this.require(work);
      return undefined;
    } catch (error) {
      const failure = DfError.from(error);
      if (!isLossOfRights(failure)) {
        throw failure;
      }
      return failure.message;
    }
  }

  /** {@link refusal} for a job by its id; one that is gone has nothing to refuse. */
  async refusalOfJob(id: number): Promise<string | undefined> {
    const { job, links } = await this.database.transaction(async (manager) => ({
      job: await manager.findOneBy(JobEntity, { id, isDel: 0 }),
      links: await manager.findBy(JobSchedulerClusterEntity, { jobId: id }),
    }));
    return job === null
      ? undefined
      : this.refusal(
          workOfJob(
            job,
            links.map((link) => link.schedulerClusterId),
          ),
        );
  }

  /** Puts into the audit log that work was stopped. @param path of the API, where the work is found */
  async recordRefusal(userId: number, path: string, reason: string): Promise<void> {
    const account = await (await this.access.get()).account(userId);
    const name = account?.name ?? 'unknown';
    const actor = { type: account === undefined ? 'UNKNOWN' : 'USER', name } as const;
    this.audit.record({ actor, method: 'RUN', path, statusCode: 403, detail: { reason }, eventType: 'JOB' });
  }
}

/** Whether a failure is one of {@link JobRights.require}: origins and registries deny permissions too. */
export function isLossOfRights({ details }: DfError): boolean {
  return details['right'] === LOST;
}

export function workOfJob(
  { userId, type, args }: Pick<JobEntity, 'userId' | 'type' | 'args'>,
  clusterIds: readonly number[],
): OwnedWork {
  // As when the job was made: a task that is named by its id has no application to check.
  const application = type === 'preheat' || args['url'] ? args['application'] : undefined;
  return { userId: userId ?? 0, clusterIds, application: typeof application === 'string' ? application : undefined };
}

function refused(reason: string): DfError {
  return new DfError('permission-denied', reason, { details: { right: LOST } });
}

function refusalOf({ clusterIds, application }: OwnedWork, { scope }: JobOwner): string | undefined {
  const whose = scope.tenant === undefined ? 'its owner' : `the tenant ${scope.tenant.name}`;
  const lost = clusterIds.filter((id) => !scope.hasCluster(id));
  if (lost.length > 0) {
    return `scheduler_cluster_ids: ${lost.join(', ')} not (or no longer) of ${whose}`;
  }
  if (scope.clusterIds?.size === 0) {
    return `scheduler_cluster_ids: there is no cluster (any more) of ${whose}`;
  }
  if (scope.applications && !scope.applications.has(application ?? '')) {
    return `args.application: "${application ?? ''}" is not (or no longer) of ${whose}`;
  }
  return undefined;
}
