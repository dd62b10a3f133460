import type { FastifyRequest } from 'fastify';
import { DfError } from '@dragonfly/errors';
import { callerOf } from '../auth/caller.js';

/** Who asks for something about jobs, and what of it is theirs. The REST API's caller is one. */
export interface JobCaller {
  readonly userId: number;
  readonly scope: {
    /** Accounts whose jobs the caller may see; undefined = all. */
    readonly userIds: ReadonlySet<number> | undefined;
    /** Scheduler clusters; undefined = all. */
    readonly clusterIds: ReadonlySet<number> | undefined;
    /** Names of applications; undefined = all. */
    readonly applications: ReadonlySet<string> | undefined;
    hasCluster(id: number): boolean;
    hasUser(id: number): boolean;
    /** The clusters that a request means; empty = every cluster. @throws DfError `not-found` */
    clustersOf(requested: readonly number[] | undefined): number[];
  };
}

/** Who makes the request. */
export function jobCallerOf(request: FastifyRequest): JobCaller {
  return callerOf(request);
}

/** @throws DfError `permission-denied` when the caller may use some applications only, and not this one */
export function requireApplication({ scope }: JobCaller, application: string | undefined): void {
  if (scope.applications && !scope.applications.has(application ?? '')) {
    const own = [...scope.applications].join(', ');
    throw new DfError('permission-denied', `args.application: must be one of ${own || 'yours, and there is none'}`);
  }
}
