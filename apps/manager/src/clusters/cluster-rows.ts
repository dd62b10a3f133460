import { DfError } from '@dragonfly/errors';
import {
  ClusterLinkEntity,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
} from '@dragonfly/persistence';
import { In, type EntityManager } from 'typeorm';
import { takeClusterFromTenants } from './tenant-clusters.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';

/** Seed peer clusters of scheduler clusters, by the id of the scheduler cluster, in the order of their ids. */
export async function seedPeerClustersOf(
  manager: EntityManager,
  schedulerClusterIds: readonly number[],
): Promise<Map<number, SeedPeerClusterEntity[]>> {
  const links = await manager.find(ClusterLinkEntity, {
    where: { schedulerClusterId: In(schedulerClusterIds) },
    order: { seedPeerClusterId: 'ASC' },
  });
  const clusters = await manager.findBy(SeedPeerClusterEntity, {
    id: In(links.map((link) => link.seedPeerClusterId)),
    isDel: 0,
  });
  const byId = new Map(clusters.map((cluster) => [cluster.id, cluster]));
  const result = new Map<number, SeedPeerClusterEntity[]>();
  for (const link of links) {
    const cluster = byId.get(link.seedPeerClusterId);
    if (cluster) {
      result.set(link.schedulerClusterId, [...(result.get(link.schedulerClusterId) ?? []), cluster]);
    }
  }
  return result;
}

/** Scheduler clusters of seed peer clusters, by the id of the seed peer cluster. */
export async function schedulerClustersOf(
  manager: EntityManager,
  seedPeerClusterIds: readonly number[],
): Promise<Map<number, SchedulerClusterEntity[]>> {
  const links = await manager.find(ClusterLinkEntity, {
    where: { seedPeerClusterId: In(seedPeerClusterIds) },
    order: { schedulerClusterId: 'ASC' },
  });
  const clusters = await manager.findBy(SchedulerClusterEntity, {
    id: In(links.map((link) => link.schedulerClusterId)),
    isDel: 0,
  });
  const byId = new Map(clusters.map((cluster) => [cluster.id, cluster]));
  const result = new Map<number, SchedulerClusterEntity[]>();
  for (const link of links) {
    const cluster = byId.get(link.schedulerClusterId);
    if (cluster) {
      result.set(link.seedPeerClusterId, [...(result.get(link.seedPeerClusterId) ?? []), cluster]);
    }
  }
  return result;
}

/** Links a scheduler cluster to one seed peer cluster; former links of the scheduler cluster go. */
export async function linkOnly(
  manager: EntityManager,
  schedulerClusterId: number,
  seedPeerClusterId: number,
): Promise<void> {
  await rowById(manager, SeedPeerClusterEntity, seedPeerClusterId);
  await manager.delete(ClusterLinkEntity, { schedulerClusterId });
  await manager.insert(ClusterLinkEntity, { schedulerClusterId, seedPeerClusterId });
}

/** Ids of the seed peer clusters that serve clusters of the caller; undefined = all. */
export async function seedPeerClustersIn(
  manager: EntityManager,
  { clusterIds }: TenantScope,
): Promise<number[] | undefined> {
  if (!clusterIds) {
    return undefined;
  }
  const links = await manager.findBy(ClusterLinkEntity, { schedulerClusterId: In([...clusterIds]) });
  return [...new Set(links.map((link) => link.seedPeerClusterId))];
}

/** @throws DfError `not-found` when it serves no cluster of the caller */
export async function requireSeedPeerCluster(manager: EntityManager, id: number, scope: TenantScope): Promise<void> {
  const visible = await seedPeerClustersIn(manager, scope);
  if (visible && !visible.includes(id)) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
}

/**
 * Refuses changes of a seed peer cluster that also serves clusters which the caller does not have.
 * @throws DfError `permission-denied`
 */
export async function requireOwnSeedPeerCluster(
  manager: EntityManager,
  seedPeerClusterId: number,
  scope: TenantScope,
): Promise<void> {
  if (!scope.clusterIds) {
    return;
  }
  const links = await manager.findBy(ClusterLinkEntity, { seedPeerClusterId });
  if (links.some((link) => !scope.hasCluster(link.schedulerClusterId))) {
    throw new DfError('permission-denied', 'its seed peers serve clusters of others too');
  }
}

/**
 * Deletes a scheduler cluster and its links.
 * @throws DfError `not-found`; `failed-precondition` while it has schedulers, active or not
 */
export async function deleteSchedulerCluster(manager: EntityManager, id: number): Promise<void> {
  await rowById(manager, SchedulerClusterEntity, id);
  if (await manager.existsBy(SchedulerEntity, { schedulerClusterId: id, isDel: 0 })) {
    throw new DfError('failed-precondition', 'scheduler cluster exists scheduler');
  }
  await manager.delete(ClusterLinkEntity, { schedulerClusterId: id });
  await manager.delete(SchedulerClusterEntity, { id });
  await takeClusterFromTenants(manager, id);
}

/**
 * Deletes a seed peer cluster and its links.
 * @throws DfError `not-found`; `failed-precondition` while it has seed peers, active or not
 */
export async function deleteSeedPeerCluster(manager: EntityManager, id: number): Promise<void> {
  await rowById(manager, SeedPeerClusterEntity, id);
  if (await manager.existsBy(SeedPeerEntity, { seedPeerClusterId: id, isDel: 0 })) {
    throw new DfError('failed-precondition', 'seedPeer cluster exists seedPeer');
  }
  await manager.delete(ClusterLinkEntity, { seedPeerClusterId: id });
  await manager.delete(SeedPeerClusterEntity, { id });
}
