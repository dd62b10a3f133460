import { DfError } from '@dragonfly/errors';
import {
  ClusterLinkEntity,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
} from '@dragonfly/persistence';
import { In, type EntityManager } from 'typeorm';
import { rowById } from '../rest/resource-rows.js';

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
