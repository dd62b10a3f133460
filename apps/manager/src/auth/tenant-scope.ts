import { DfError } from '@dragonfly/errors';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';

/** Stands for every application in the list of a tenant or a token. */
export const EVERY_APPLICATION = '*';

/** Quotas and rates of a tenant; an absent one does not limit. */
export interface TenantLimits {
  readonly clusters?: number;
  readonly users?: number;
  readonly personal_access_tokens?: number;
  readonly applications?: number;
  /** Jobs that are neither done nor failed. */
  readonly running_jobs?: number;
  readonly jobs_per_minute?: number;
  readonly requests_per_second?: number;
}

/** The tenant that a caller belongs to. */
export interface TenantView {
  readonly id: number;
  readonly name: string;
  readonly limits: TenantLimits;
}

export interface ScopeParts {
  readonly tenant?: TenantView;
  /** Scheduler clusters; undefined = all. */
  readonly clusterIds?: Iterable<number>;
  /** Names; undefined, or with {@link EVERY_APPLICATION} in it = all. */
  readonly applications?: Iterable<string>;
  /** Accounts of the tenant; undefined = all. */
  readonly userIds?: Iterable<number>;
}

/**
 * What a caller may see and touch, whatever its role allows: clusters, applications and accounts. What lies outside
 * does not exist for the caller: asking for it is answered as a row that is not there.
 */
export class TenantScope {
  /** Of callers that belong to no tenant. */
  static readonly UNLIMITED = new TenantScope({});

  readonly tenant: TenantView | undefined;
  /** Undefined = all. */
  readonly clusterIds: ReadonlySet<number> | undefined;
  /** Undefined = all. */
  readonly applications: ReadonlySet<string> | undefined;
  /** Undefined = all. */
  readonly userIds: ReadonlySet<number> | undefined;

  constructor(parts: ScopeParts) {
    const applications = parts.applications && new Set(parts.applications);
    this.tenant = parts.tenant;
    this.clusterIds = parts.clusterIds && new Set(parts.clusterIds);
    this.applications = applications?.has(EVERY_APPLICATION) ? undefined : applications;
    this.userIds = parts.userIds && new Set(parts.userIds);
  }

  /** True when the caller belongs to no tenant and its token is not limited either. */
  get isUnlimited(): boolean {
    return !this.tenant && !this.clusterIds && !this.applications && !this.userIds;
  }

  hasCluster(id: number): boolean {
    return this.clusterIds?.has(id) ?? true;
  }

  /** The empty name, of what belongs to no application, is in the scope of callers with every application only. */
  hasApplication(name: string): boolean {
    return this.applications?.has(name) ?? true;
  }

  hasUser(id: number): boolean {
    return this.userIds?.has(id) ?? true;
  }

  /** @throws DfError `not-found`, as for a cluster that does not exist */
  requireCluster(id: number): void {
    if (!this.hasCluster(id)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
  }

  /** @throws DfError `not-found` */
  requireApplication(name: string): void {
    if (!this.hasApplication(name)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
  }

  /** @throws DfError `not-found` */
  requireUser(id: number): void {
    if (!this.hasUser(id)) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
  }

  /**
   * The clusters that a request means: those it names, or all of the caller's when it names none.
   * @returns ids; empty only for a caller without limits that names none, which means every cluster
   * @throws DfError `not-found` when one of them is not the caller's, or a limited caller has none
   */
  clustersOf(requested: readonly number[] | undefined): number[] {
    for (const id of requested ?? []) {
      this.requireCluster(id);
    }
    if (requested && requested.length > 0) {
      return [...requested];
    }
    if (this.clusterIds?.size === 0) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return [...(this.clusterIds ?? [])];
  }

  /** What both scopes have: a token never reaches farther than its owner. */
  narrowedTo(parts: Pick<ScopeParts, 'clusterIds' | 'applications'>): TenantScope {
    const clusters = parts.clusterIds && [...parts.clusterIds];
    const applications = parts.applications && [...parts.applications];
    return new TenantScope({
      tenant: this.tenant,
      userIds: this.userIds,
      clusterIds: clusters?.filter((id) => this.hasCluster(id)) ?? this.clusterIds,
      applications: applications?.includes(EVERY_APPLICATION)
        ? this.applications
        : (applications?.filter((name) => this.hasApplication(name)) ?? this.applications),
    });
  }
}
