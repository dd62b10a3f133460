import { Database, insertRow, SeedPeerClusterEntity, SeedPeerEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { seedPeerBody, type SeedPeerBody } from '../rest/resource-bodies.js';
import { pageOfRows, rowById } from '../rest/resource-rows.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { requireSeedPeerCluster, seedPeerClustersIn } from '../clusters/cluster-rows.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { TopologyCache } from '../topology/topology-cache.js';
import type { CreateSeedPeerRequest, GetSeedPeersQuery, UpdateSeedPeerRequest } from './instance-requests.js';

/** Seed peers as the REST API shows and edits them. */
@Injectable()
export class SeedPeersService {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `not-found` (cluster), `already-exists` */
  async create(request: CreateSeedPeerRequest): Promise<SeedPeerBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SeedPeerClusterEntity, request.seed_peer_cluster_id);
      const id = await insertRow(manager, SeedPeerEntity, now, {
        hostName: request.host_name,
        type: request.type,
        idc: request.idc ?? '',
        location: request.location ?? '',
        ip: request.ip,
        port: request.port,
        downloadPort: request.download_port,
        objectStoragePort: request.object_storage_port ?? 0,
        seedPeerClusterId: request.seed_peer_cluster_id,
      });
      return rowById(manager, SeedPeerEntity, id);
    });
    await this.topology.invalidate();
    return seedPeerBody(row);
  }

  async get(id: number, scope: TenantScope): Promise<SeedPeerBody> {
    const { manager } = this.database;
    const row = await rowById(manager, SeedPeerEntity, id);
    await requireSeedPeerCluster(manager, row.seedPeerClusterId, scope);
    const cluster = await manager.findOneBy(SeedPeerClusterEntity, { id: row.seedPeerClusterId, isDel: 0 });
    return seedPeerBody(row, cluster ?? undefined);
  }

  async list(query: GetSeedPeersQuery, scope: TenantScope): Promise<{ bodies: SeedPeerBody[]; total: number }> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      SeedPeerEntity,
      {
        hostName: query.host_name,
        type: query.type,
        idc: query.idc,
        location: query.location,
        ip: query.ip,
        port: query.port,
        downloadPort: query.download_port,
        objectStoragePort: query.object_storage_port,
        state: query.state,
        seedPeerClusterId: query.seed_peer_cluster_id,
      },
      pageOf(query),
      { seedPeerClusterId: await seedPeerClustersIn(this.database.manager, scope) },
    );
    return { bodies: rows.map((row) => seedPeerBody(row)), total };
  }

  /** Parts that are left out stay as they are. */
  async update(id: number, request: UpdateSeedPeerRequest): Promise<SeedPeerBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SeedPeerEntity, id);
      if (request.seed_peer_cluster_id) {
        await rowById(manager, SeedPeerClusterEntity, request.seed_peer_cluster_id);
      }
      await updateRow(manager, SeedPeerEntity, now, id, {
        type: request.type || undefined,
        idc: request.idc,
        location: request.location,
        ip: request.ip || undefined,
        port: request.port || undefined,
        downloadPort: request.download_port || undefined,
        objectStoragePort: request.object_storage_port,
        seedPeerClusterId: request.seed_peer_cluster_id || undefined,
      });
      return rowById(manager, SeedPeerEntity, id);
    });
    await this.topology.invalidate();
    return seedPeerBody(row);
  }

  async delete(id: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      await rowById(manager, SeedPeerEntity, id);
      await manager.delete(SeedPeerEntity, { id });
    });
    await this.topology.invalidate();
  }
}
