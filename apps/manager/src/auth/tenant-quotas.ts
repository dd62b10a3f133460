import { DfError } from '@dragonfly/errors';
import { Injectable } from '@nestjs/common';
import { TenantRates } from './tenant-rates.js';
import type { TenantLimits, TenantView } from './tenant-scope.js';

/** Quotas that count what is there now. */
type CountedQuota = Exclude<keyof TenantLimits, 'requests_per_second' | 'jobs_per_minute'>;

/** Somebody who may belong to a tenant. */
type Charged = { readonly scope: { readonly tenant: TenantView | undefined } };

/** What a tenant may have at most. Callers without a tenant have no quotas. */
@Injectable()
export class TenantQuotas {
  constructor(private readonly rates: TenantRates) {}

  /**
   * To be called in the transaction that adds one more, before it is added.
   * @param count asks how many there are now; called only when there is a quota
   * @throws DfError `resource-exhausted` (429)
   */
  async requireRoom(caller: Charged, quota: CountedQuota, count: () => Promise<number>): Promise<void> {
    const { tenant } = caller.scope;
    const limit = tenant?.limits[quota];
    if (tenant && limit !== undefined && (await count()) >= limit) {
      throw new DfError('resource-exhausted', `quota of tenant ${tenant.name} exceeded: ${limit} ${quota}`);
    }
  }

  /**
   * Counts one request of the tenant.
   * @throws DfError `resource-exhausted` (429 with Retry-After)
   */
  async takeRequest({ scope: { tenant } }: Charged): Promise<void> {
    if (tenant?.limits.requests_per_second) {
      await this.rates.take(tenant, 'requests', tenant.limits.requests_per_second, 1_000);
    }
  }

  /**
   * Counts one more job of the tenant.
   * @throws DfError `resource-exhausted` (429 with Retry-After)
   */
  async takeJob(caller: Charged): Promise<void> {
    const { tenant } = caller.scope;
    if (tenant?.limits.jobs_per_minute !== undefined) {
      await this.rates.take(tenant, 'jobs per minute', tenant.limits.jobs_per_minute, 60_000);
    }
  }
}
