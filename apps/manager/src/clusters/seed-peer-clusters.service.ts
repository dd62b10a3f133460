import {
  Database,
  insertRow,
  SchedulerClusterEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
  updateRow,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { seedPeerClusterBody, type SeedPeerClusterBody } from '../rest/resource-bodies.js';
import type {
  CreateSeedPeerClusterRequest,
  GetClustersQuery,
  UpdateSeedPeerClusterRequest,
} from './cluster-requests.js';
import {
  deleteSeedPeerCluster,
  linkOnly,
  requireSeedPeerCluster,
  schedulerClustersOf,
  seedPeerClustersIn,
} from './cluster-rows.js';
import { pageOfRows, rowById, stored } from '../rest/resource-rows.js';

@Injectable()
export class SeedPeerClustersService {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  async create(request: CreateSeedPeerClusterRequest): Promise<SeedPeerClusterBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, SeedPeerClusterEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        config: stored(request.config),
      });
      return rowById(manager, SeedPeerClusterEntity, id);
    });
    await this.topology.invalidate();
    return seedPeerClusterBody(row);
  }

  /** @throws DfError `not-found` */
  async get(id: number, scope: TenantScope): Promise<SeedPeerClusterBody> {
    const { manager } = this.database;
    await requireSeedPeerCluster(manager, id, scope);
    const [body] = await this.withMembers([await rowById(manager, SeedPeerClusterEntity, id)], scope);
    return body as SeedPeerClusterBody;
  }

  /** Seed peer clusters that serve clusters of the caller. */
  async list(query: GetClustersQuery, scope: TenantScope): Promise<{ bodies: SeedPeerClusterBody[]; total: number }> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      SeedPeerClusterEntity,
      { name: query.name },
      pageOf(query),
      { id: await seedPeerClustersIn(this.database.manager, scope) },
    );
    return { bodies: await this.withMembers(rows, scope), total };
  }

  async update(id: number, request: UpdateSeedPeerClusterRequest): Promise<SeedPeerClusterBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SeedPeerClusterEntity, id);
      await updateRow(manager, SeedPeerClusterEntity, now, id, {
        name: request.name || undefined,
        bio: request.bio,
        config: request.config && stored(request.config),
      });
      return rowById(manager, SeedPeerClusterEntity, id);
    });
    await this.topology.invalidate();
    return seedPeerClusterBody(row);
  }

  async delete(id: number): Promise<void> {
    await this.database.transaction((manager) => deleteSeedPeerCluster(manager, id));
    await this.topology.invalidate();
  }

  /** Moves a seed peer into this cluster. */
  async addSeedPeer(id: number, seedPeerId: number): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction(async (manager) => {
      await rowById(manager, SeedPeerClusterEntity, id);
      await rowById(manager, SeedPeerEntity, seedPeerId);
      await updateRow(manager, SeedPeerEntity, now, seedPeerId, { seedPeerClusterId: id });
    });
    await this.topology.invalidate();
  }

  /** Links this cluster to a scheduler cluster, which has one seed peer cluster at a time. */
  async addSchedulerCluster(id: number, schedulerClusterId: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, schedulerClusterId);
      await linkOnly(manager, schedulerClusterId, id);
    });
    await this.topology.invalidate();
  }

  private async withMembers(
    rows: readonly SeedPeerClusterEntity[],
    scope: TenantScope,
  ): Promise<SeedPeerClusterBody[]> {
    const { manager } = this.database;
    const ids = rows.map((row) => row.id);
    const schedulerClusters = await schedulerClustersOf(manager, ids);
    const seedPeers = Map.groupBy(
      await manager.find(SeedPeerEntity, { where: { seedPeerClusterId: In(ids), isDel: 0 }, order: { id: 'ASC' } }),
      (row) => row.seedPeerClusterId,
    );
    return rows.map((row) =>
      seedPeerClusterBody(row, {
        schedulerClusters: (schedulerClusters.get(row.id) ?? []).filter(({ id }) => scope.hasCluster(id)),
        seedPeers: seedPeers.get(row.id) ?? [],
      }),
    );
  }
}
