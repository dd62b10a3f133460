import { DfError } from '@dragonfly/errors';
import { KeyValueStore } from '@dragonfly/kv';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import type { TenantView } from './tenant-scope.js';

/** Counts what a tenant does in a window of time, over all managers. */
@Injectable()
export class TenantRates {
  constructor(
    private readonly store: KeyValueStore,
    private readonly clock: Clock,
  ) {}

  /**
   * Counts one more of `what`.
   * @param limit most in one window of `windowMs`
   * @throws DfError `resource-exhausted` (429 with Retry-After); a store that does not answer limits nothing
   */
  async take(tenant: TenantView, what: string, limit: number, windowMs: number): Promise<void> {
    const window = Math.floor(this.clock.now().getTime() / windowMs);
    let count: number;
    try {
      count = await this.store.increment(`tenant:${tenant.id}:${what}:${window}`, 1, { ttlMs: 2 * windowMs });
    } catch (error) {
      if (DfError.from(error).retryable) {
        return;
      }
      throw error;
    }
    if (count > limit) {
      throw new DfError('resource-exhausted', `rate limit of tenant ${tenant.name} exceeded: ${limit} ${what}`, {
        retryable: true,
        details: { retryAfterS: Math.ceil(windowMs / 1_000) },
      });
    }
  }
}
