import { DfError } from '@dragonfly/errors';
import type { SchedulerEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { ACTIVE } from '../topology/topology.js';
import { TopologyCache } from '../topology/topology-cache.js';
import type { SchedulerTarget } from './dispatch/scheduler-work.js';

const FEATURE_PREHEAT = 'preheat';

/** Which schedulers a job is given to. */
@Injectable()
export class SchedulerCandidates {
  constructor(private readonly topology: TopologyCache) {}

  /** Ids of the clusters that a job means: those named, or all that there are. */
  async clusters(requested: readonly number[]): Promise<number[]> {
    const { schedulerClusters } = await this.topology.get();
    return requested.length > 0
      ? [...new Set(requested)].filter((id) => schedulerClusters.has(id))
      : [...schedulerClusters.keys()];
  }

  /**
   * The first active scheduler that preheats, of each cluster.
   * @throws DfError `failed-precondition` when there is none
   */
  async forPreheat(clusterIds: readonly number[]): Promise<SchedulerTarget[]> {
    const chosen = (await this.active(clusterIds)).flatMap((schedulers) => {
      const first = schedulers.find((row) => row.features.includes(FEATURE_PREHEAT));
      return first ? [targetOf(first)] : [];
    });
    return required(chosen, 'candidate schedulers not found');
  }

  /** The first active scheduler of each cluster; may be none. */
  async oneOfEach(clusterIds: readonly number[]): Promise<SchedulerTarget[]> {
    return (await this.active(clusterIds)).flatMap(([first]) => (first ? [targetOf(first)] : []));
  }

  /**
   * Every active scheduler of the clusters.
   * @throws DfError `failed-precondition` when there is none
   */
  async all(clusterIds: readonly number[]): Promise<SchedulerTarget[]> {
    return required((await this.active(clusterIds)).flat().map(targetOf), 'active schedulers not found');
  }

  private async active(clusterIds: readonly number[]): Promise<SchedulerEntity[][]> {
    const { schedulerClusters } = await this.topology.get();
    return clusterIds.map((id) => (schedulerClusters.get(id)?.schedulers ?? []).filter((row) => row.state === ACTIVE));
  }
}

function targetOf(row: SchedulerEntity): SchedulerTarget {
  return { id: row.id, hostname: row.hostName, ip: row.ip, port: row.port, clusterId: row.schedulerClusterId };
}

function required<T>(found: T[], message: string): T[] {
  if (found.length === 0) {
    throw new DfError('failed-precondition', message);
  }
  return found;
}
