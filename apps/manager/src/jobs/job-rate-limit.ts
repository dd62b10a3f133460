import { DfError } from '@dragonfly/errors';
import { KeyValueStore } from '@dragonfly/kv';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { TopologyCache } from '../topology/topology-cache.js';

const WINDOW_MS = 1_000;
const DEFAULT_PER_SECOND = 10;

/** `job_rate_limit` of a cluster: jobs that may be put in for it in a second, over all managers. */
@Injectable()
export class JobRateLimit {
  constructor(
    private readonly topology: TopologyCache,
    private readonly store: KeyValueStore,
    private readonly clock: Clock,
  ) {}

  /**
   * Counts one job for each cluster.
   * @throws DfError `resource-exhausted` (429); a store that is away limits nothing
   */
  async take(clusterIds: readonly number[]): Promise<void> {
    const { schedulerClusters } = await this.topology.get();
    const window = Math.floor(this.clock.now().getTime() / WINDOW_MS);
    for (const id of clusterIds) {
      const configured = schedulerClusters.get(id)?.cluster.config['job_rate_limit'];
      const limit = typeof configured === 'number' && configured > 0 ? configured : DEFAULT_PER_SECOND;
      let count = 0;
      try {
        count = await this.store.increment(`rate:${id}-job:${window}`, 1, { ttlMs: 2 * WINDOW_MS });
      } catch (error) {
        if (!DfError.from(error).retryable) {
          throw error;
        }
      }
      if (count > limit) {
        throw new DfError('resource-exhausted', 'rate limit exceeded', { details: { retryAfterS: 1 } });
      }
    }
  }
}
