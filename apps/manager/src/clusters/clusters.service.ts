import {
  ClusterLinkEntity,
  Database,
  insertRow,
  SchedulerClusterEntity,
  SeedPeerClusterEntity,
  updateRow,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { AccessCache } from '../auth/access-directory.js';
import type { Caller } from '../auth/caller.js';
import { TenantQuotas } from '../auth/tenant-quotas.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { clusterBody, type ClusterBody } from '../rest/resource-bodies.js';
import type { CreateClusterRequest, GetClustersQuery, UpdateClusterRequest } from './cluster-requests.js';
import {
  deleteSchedulerCluster,
  deleteSeedPeerCluster,
  requireOwnSeedPeerCluster,
  seedPeerClustersOf,
} from './cluster-rows.js';
import { giveClusterToTenant } from './tenant-clusters.js';
import { pageOfRows, rowById, stored } from '../rest/resource-rows.js';

/**
 * A scheduler cluster together with the seed peer cluster of the same name, as one resource. Its id is that of the
 * scheduler cluster. With several linked seed peer clusters the first one is shown, without any the parts are empty.
 */
@Injectable()
export class ClustersService {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly access: AccessCache,
    private readonly quotas: TenantQuotas,
    private readonly clock: Clock,
  ) {}

  /**
   * A cluster that a tenant makes belongs to it.
   * @throws DfError `already-exists` (name), `resource-exhausted` (quota)
   */
  async create(request: CreateClusterRequest, caller: Caller): Promise<ClusterBody> {
    const now = this.clock.now();
    const id = await this.database.transaction(async (manager) => {
      await this.quotas.requireRoom(caller, 'clusters', () => Promise.resolve(caller.scope.clusterIds?.size ?? 0));
      const seedPeerClusterId = await insertRow(manager, SeedPeerClusterEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        config: stored(request.seed_peer_cluster_config),
      });
      const schedulerClusterId = await insertRow(manager, SchedulerClusterEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        config: stored(request.scheduler_cluster_config),
        clientConfig: stored(request.peer_cluster_config),
        // Real daemons in the seed role read their block list from here.
        seedClientConfig: stored(request.seed_peer_cluster_config),
        scopes: stored(request.scopes ?? {}),
        isDefault: request.is_default ?? false,
      });
      await manager.insert(ClusterLinkEntity, { schedulerClusterId, seedPeerClusterId });
      await giveClusterToTenant(manager, now, caller.scope.tenant?.id, schedulerClusterId);
      return schedulerClusterId;
    });
    await Promise.all([this.topology.invalidate(), this.access.invalidate()]);
    return this.get(id);
  }

  async get(id: number): Promise<ClusterBody> {
    const { manager } = this.database;
    const row = await rowById(manager, SchedulerClusterEntity, id);
    const seedPeerClusters = await seedPeerClustersOf(manager, [id]);
    return clusterBody(row, seedPeerClusters.get(id)?.[0]);
  }

  async list(query: GetClustersQuery, scope: TenantScope): Promise<{ bodies: ClusterBody[]; total: number }> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(manager, SchedulerClusterEntity, { name: query.name }, pageOf(query), {
      id: scope.clusterIds,
    });
    const seedPeerClusters = await seedPeerClustersOf(
      manager,
      rows.map((row) => row.id),
    );
    return { bodies: rows.map((row) => clusterBody(row, seedPeerClusters.get(row.id)?.[0])), total };
  }

  /** Parts that are left out stay as they are; a config that is given replaces the former one as a whole. */
  async update(id: number, request: UpdateClusterRequest, scope: TenantScope): Promise<ClusterBody> {
    const now = this.clock.now();
    await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, id);
      const seedConfig = request.seed_peer_cluster_config && stored(request.seed_peer_cluster_config);
      await updateRow(manager, SchedulerClusterEntity, now, id, {
        name: request.name || undefined,
        bio: request.bio,
        config: request.scheduler_cluster_config && stored(request.scheduler_cluster_config),
        clientConfig: request.peer_cluster_config && stored(request.peer_cluster_config),
        seedClientConfig: seedConfig,
        scopes: request.scopes && stored(request.scopes),
        isDefault: request.is_default,
      });
      const [seedPeerCluster] = (await seedPeerClustersOf(manager, [id])).get(id) ?? [];
      if (seedPeerCluster) {
        await requireOwnSeedPeerCluster(manager, seedPeerCluster.id, scope);
        await updateRow(manager, SeedPeerClusterEntity, now, seedPeerCluster.id, {
          name: request.name || undefined,
          bio: request.bio,
          config: seedConfig,
        });
      }
    });
    await this.topology.invalidate();
    return this.get(id);
  }

  /** @throws DfError `failed-precondition` while a scheduler or a seed peer belongs to it */
  async delete(id: number, scope: TenantScope): Promise<void> {
    await this.database.transaction(async (manager) => {
      const seedPeerClusters = (await seedPeerClustersOf(manager, [id])).get(id) ?? [];
      await deleteSchedulerCluster(manager, id);
      for (const seedPeerCluster of seedPeerClusters) {
        await requireOwnSeedPeerCluster(manager, seedPeerCluster.id, scope);
        const others = await manager.countBy(ClusterLinkEntity, { seedPeerClusterId: seedPeerCluster.id });
        if (others === 0) {
          await deleteSeedPeerCluster(manager, seedPeerCluster.id);
        }
      }
    });
    await Promise.all([this.topology.invalidate(), this.access.invalidate()]);
  }
}
