import { DfError } from '@dragonfly/errors';
import { type Database, JobEntity, JobSchedulerClusterEntity, type JsonObject } from '@dragonfly/persistence';
import type { SelectQueryBuilder } from 'typeorm';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import type { JobCaller } from './job-caller.js';

/**
 * Whether all of a job lies within what the caller may touch: its owner, every cluster that it is for, its application.
 * A job that is for no cluster in particular, or for no application, is not for callers that are limited to some.
 */
export function isWithin(
  job: { userId: number | null; clusterIds: readonly number[]; args: JsonObject },
  { scope }: JobCaller,
): boolean {
  const application = job.args['application'];
  return (
    scope.hasUser(job.userId ?? 0) &&
    (!scope.clusterIds || (job.clusterIds.length > 0 && job.clusterIds.every((id) => scope.hasCluster(id)))) &&
    (scope.applications?.has(typeof application === 'string' ? application : '') ?? true)
  );
}

/** @throws DfError `not-found`, also for a job that the caller may not see */
export async function visibleJob(database: Database, id: number, caller: JobCaller): Promise<JobEntity> {
  const job = await database.manager.findOneBy(JobEntity, { id, isDel: 0 });
  const links =
    job && caller.scope.clusterIds ? await database.manager.findBy(JobSchedulerClusterEntity, { jobId: id }) : [];
  const clusterIds = links.map(({ schedulerClusterId }) => schedulerClusterId);
  if (!job || !isWithin({ userId: job.userId, clusterIds, args: job.args }, caller)) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
  return job;
}

/** @throws DfError `not-found` for an account that is not the caller's to name as the owner */
export function requireOwner(userId: number | undefined, { scope }: JobCaller): void {
  if (userId && !scope.hasUser(userId)) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
}

/** {@link isWithin} for a query of jobs with the alias `job`. */
export function onlyVisible(query: SelectQueryBuilder<JobEntity>, { scope }: JobCaller, { dialect }: Database): void {
  const { userIds, clusterIds, applications } = scope;
  const isOneOf = (expression: string, name: string, values: Iterable<unknown>): void => {
    const list = [...values];
    query.andWhere(list.length > 0 ? `${expression} IN (:...${name})` : '1 = 0', { [name]: list });
  };
  if (userIds) {
    isOneOf('job.userId', 'visibleUsers', userIds);
  }
  if (clusterIds) {
    const links = 'SELECT 1 FROM job_scheduler_cluster WHERE job_id = job.id';
    const others = `${links} AND scheduler_cluster_id NOT IN (:...visibleClusters)`;
    query.andWhere(clusterIds.size > 0 ? `EXISTS (${links}) AND NOT EXISTS (${others})` : '1 = 0', {
      visibleClusters: [...clusterIds],
    });
  }
  if (applications) {
    const application = "JSON_EXTRACT(job.args, '$.application')";
    const text = dialect === 'sqlite' ? application : `JSON_UNQUOTE(${application})`;
    isOneOf(`COALESCE(${text}, '')`, 'visibleApplications', applications);
  }
}
