import { DfError } from '@dragonfly/errors';
import { Database, insertRow, SchedulerClusterEntity, SchedulerEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf, rowsOf } from '../rest/pagination.js';
import { TopologyCache } from '../topology/topology-cache.js';
import type { ClusterNode } from '../topology/topology.js';
import { schedulerClusterBody, type SchedulerClusterBody } from '../rest/resource-bodies.js';
import type {
  CreateSchedulerClusterRequest,
  GetClustersQuery,
  UpdateSchedulerClusterRequest,
} from './cluster-requests.js';
import { deleteSchedulerCluster, linkOnly, seedPeerClustersOf } from './cluster-rows.js';
import { pageOfRows, RECORD_NOT_FOUND, rowById, stored } from '../rest/resource-rows.js';

@Injectable()
export class SchedulerClustersService {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `already-exists` (name), `not-found` (seed peer cluster) */
  async create(request: CreateSchedulerClusterRequest): Promise<SchedulerClusterBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, SchedulerClusterEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        config: stored(request.config),
        clientConfig: stored(request.client_config),
        seedClientConfig: stored(request.seed_client_config),
        scopes: stored(request.scopes ?? {}),
        isDefault: request.is_default ?? false,
      });
      if (request.seed_peer_cluster_id) {
        await linkOnly(manager, id, request.seed_peer_cluster_id);
      }
      return rowById(manager, SchedulerClusterEntity, id);
    });
    await this.topology.invalidate();
    return schedulerClusterBody(row);
  }

  async get(id: number): Promise<SchedulerClusterBody> {
    const node = (await this.topology.get()).schedulerClusters.get(id);
    if (!node) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return bodyOfNode(node);
  }

  async list(query: GetClustersQuery, scope: TenantScope): Promise<{ bodies: SchedulerClusterBody[]; total: number }> {
    if (!query.name) {
      const { schedulerClusters } = await this.topology.get();
      const visible = [...schedulerClusters.values()].filter(({ cluster }) => scope.hasCluster(cluster.id));
      const { skip, take } = rowsOf(pageOf(query));
      return { bodies: visible.slice(skip, skip + take).map(bodyOfNode), total: visible.length };
    }
    // Which names are equal is for the database to say.
    const { rows, total } = await pageOfRows(
      this.database.manager,
      SchedulerClusterEntity,
      { name: query.name },
      pageOf(query),
      { id: scope.clusterIds },
    );
    return { bodies: await this.withMembers(rows), total };
  }

  /** Parts that are left out stay as they are; a config that is given replaces the former one as a whole. */
  async update(id: number, request: UpdateSchedulerClusterRequest): Promise<SchedulerClusterBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, id);
      if (request.seed_peer_cluster_id) {
        await linkOnly(manager, id, request.seed_peer_cluster_id);
      }
      await updateRow(manager, SchedulerClusterEntity, now, id, {
        name: request.name || undefined,
        bio: request.bio,
        config: request.config && stored(request.config),
        clientConfig: request.client_config && stored(request.client_config),
        seedClientConfig: request.seed_client_config && stored(request.seed_client_config),
        scopes: request.scopes && stored(request.scopes),
        isDefault: request.is_default,
      });
      return rowById(manager, SchedulerClusterEntity, id);
    });
    await this.topology.invalidate();
    return schedulerClusterBody(row);
  }

  async delete(id: number): Promise<void> {
    await this.database.transaction((manager) => deleteSchedulerCluster(manager, id));
    await this.topology.invalidate();
  }

  /** Moves a scheduler into this cluster. */
  async addScheduler(id: number, schedulerId: number): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, id);
      await rowById(manager, SchedulerEntity, schedulerId);
      await updateRow(manager, SchedulerEntity, now, schedulerId, { schedulerClusterId: id });
    });
    await this.topology.invalidate();
  }

  private async withMembers(rows: readonly SchedulerClusterEntity[]): Promise<SchedulerClusterBody[]> {
    const { manager } = this.database;
    const ids = rows.map((row) => row.id);
    const seedPeerClusters = await seedPeerClustersOf(manager, ids);
    const schedulers = Map.groupBy(
      await manager.find(SchedulerEntity, {
        where: { schedulerClusterId: In(ids), isDel: 0 },
        order: { id: 'ASC' },
      }),
      (row) => row.schedulerClusterId,
    );
    return rows.map((row) =>
      schedulerClusterBody(row, {
        seedPeerClusters: seedPeerClusters.get(row.id) ?? [],
        schedulers: schedulers.get(row.id) ?? [],
      }),
    );
  }
}

function bodyOfNode({ cluster, seedPeerClusters, schedulers }: ClusterNode): SchedulerClusterBody {
  return schedulerClusterBody(cluster, {
    seedPeerClusters: seedPeerClusters.map((node) => node.cluster),
    schedulers: [...schedulers],
  });
}
