import {
  ClusterLinkEntity,
  type Database,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
} from '@dragonfly/persistence';
import type { EntityManager } from 'typeorm';

/** A scheduler cluster with what belongs to it; rows in the order of their ids. */
export interface ClusterNode {
  readonly cluster: SchedulerClusterEntity;
  /** In any state. */
  readonly schedulers: readonly SchedulerEntity[];
  readonly seedPeerClusters: readonly SeedPeerClusterNode[];
}

export interface SeedPeerClusterNode {
  readonly cluster: SeedPeerClusterEntity;
  /** In any state. */
  readonly seedPeers: readonly SeedPeerEntity[];
  readonly schedulerClusterIds: readonly number[];
}

/** All clusters at one moment. Not to be changed. */
export interface Topology {
  readonly schedulerClusters: ReadonlyMap<number, ClusterNode>;
  readonly seedPeerClusters: ReadonlyMap<number, SeedPeerClusterNode>;
}

export const ACTIVE = 'active';
export const INACTIVE = 'inactive';

/**
 * Reads the topology: five queries, whatever the number of clusters. They run in one transaction, so that they belong to
 * one moment and, on SQLite with its one connection, show nothing of a transaction that may yet be taken back.
 */
export function loadTopology(database: Database): Promise<Topology> {
  return database.transaction(readTopology);
}

async function readTopology(manager: EntityManager): Promise<Topology> {
  const order = { id: 'ASC' } as const;
  const where = { isDel: 0 };
  const [clusters, seedPeerClusterRows, links, schedulers, seedPeers] = await Promise.all([
    manager.find(SchedulerClusterEntity, { where, order }),
    manager.find(SeedPeerClusterEntity, { where, order }),
    manager.find(ClusterLinkEntity, { order: { seedPeerClusterId: 'ASC' } }),
    manager.find(SchedulerEntity, { where, order }),
    manager.find(SeedPeerEntity, { where, order }),
  ]);
  const seedPeersOf = Map.groupBy(seedPeers, (row) => row.seedPeerClusterId);
  const schedulersOf = Map.groupBy(schedulers, (row) => row.schedulerClusterId);
  const linksOfSeeds = Map.groupBy(links, (row) => row.seedPeerClusterId);
  const linksOfSchedulers = Map.groupBy(links, (row) => row.schedulerClusterId);
  const seedPeerClusters = new Map(
    seedPeerClusterRows.map((cluster): [number, SeedPeerClusterNode] => [
      cluster.id,
      {
        cluster,
        seedPeers: seedPeersOf.get(cluster.id) ?? [],
        schedulerClusterIds: (linksOfSeeds.get(cluster.id) ?? []).map((link) => link.schedulerClusterId),
      },
    ]),
  );
  const schedulerClusters = new Map(
    clusters.map((cluster): [number, ClusterNode] => [
      cluster.id,
      {
        cluster,
        schedulers: schedulersOf.get(cluster.id) ?? [],
        seedPeerClusters: (linksOfSchedulers.get(cluster.id) ?? [])
          .map((link) => seedPeerClusters.get(link.seedPeerClusterId))
          .filter((node) => node !== undefined),
      },
    ]),
  );
  return { schedulerClusters, seedPeerClusters };
}
