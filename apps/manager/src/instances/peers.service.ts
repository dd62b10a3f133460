import { Database, insertRow, PeerEntity, SchedulerClusterEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { pageOfRows, rowById } from '../rest/resource-rows.js';
import { peerBody, type PeerBody } from './peer-bodies.js';
import type { CreatePeerRequest, GetPeersQuery } from './peer-requests.js';

/** The table of peers as the REST API shows and edits it. */
@Injectable()
export class PeersService {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `not-found` (cluster), `already-exists` */
  async create(request: CreatePeerRequest): Promise<PeerBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, request.scheduler_cluster_id);
      const id = await insertRow(manager, PeerEntity, now, {
        hostName: request.host_name,
        type: request.type,
        idc: request.idc ?? '',
        location: request.location ?? '',
        ip: request.ip,
        port: request.port,
        downloadPort: request.download_port,
        proxyPort: request.proxy_port,
        objectStoragePort: request.object_storage_port ?? 0,
        state: request.state || 'inactive',
        os: request.os ?? '',
        platform: request.platform ?? '',
        platformFamily: request.platform_family ?? '',
        platformVersion: request.platform_version ?? '',
        kernelVersion: request.kernel_version ?? '',
        gitVersion: request.git_version ?? '',
        gitCommit: request.git_commit ?? '',
        buildPlatform: request.build_platform ?? '',
        schedulerClusterId: request.scheduler_cluster_id,
      });
      return rowById(manager, PeerEntity, id);
    });
    return peerBody(row);
  }

  /** @throws DfError `not-found` */
  async get(id: number, scope: TenantScope): Promise<PeerBody> {
    const { manager } = this.database;
    const row = await rowById(manager, PeerEntity, id);
    scope.requireCluster(row.schedulerClusterId);
    const cluster = await manager.findOneBy(SchedulerClusterEntity, { id: row.schedulerClusterId, isDel: 0 });
    return peerBody(row, cluster ?? undefined);
  }

  async list(query: GetPeersQuery, scope: TenantScope): Promise<{ bodies: PeerBody[]; total: number }> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(
      manager,
      PeerEntity,
      {
        hostName: query.host_name,
        type: query.type,
        idc: query.idc,
        location: query.location,
        ip: query.ip,
        port: query.port,
        downloadPort: query.download_port,
        proxyPort: query.proxy_port,
        objectStoragePort: query.object_storage_port,
        state: query.state,
        os: query.os,
        platform: query.platform,
        platformFamily: query.platform_family,
        platformVersion: query.platform_version,
        kernelVersion: query.kernel_version,
        gitVersion: query.git_version,
        gitCommit: query.git_commit,
        buildPlatform: query.build_platform,
        schedulerClusterId: query.scheduler_cluster_id,
      },
      pageOf(query),
      { schedulerClusterId: scope.clusterIds },
    );
    const clusterIds = [...new Set(rows.map((row) => row.schedulerClusterId))];
    const clusters = await manager.findBy(SchedulerClusterEntity, { id: In(clusterIds), isDel: 0 });
    const byId = new Map(clusters.map((cluster) => [cluster.id, cluster]));
    return { bodies: rows.map((row) => peerBody(row, byId.get(row.schedulerClusterId))), total };
  }

  /** @throws DfError `not-found` */
  async delete(id: number, scope: TenantScope): Promise<void> {
    await this.database.transaction(async (manager) => {
      const row = await rowById(manager, PeerEntity, id);
      scope.requireCluster(row.schedulerClusterId);
      await manager.delete(PeerEntity, { id });
    });
  }
}
