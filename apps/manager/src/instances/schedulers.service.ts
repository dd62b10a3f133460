import { Database, insertRow, SchedulerClusterEntity, SchedulerEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { schedulerBody, type SchedulerBody } from '../rest/resource-bodies.js';
import { pageOfRows, rowById, stored } from '../rest/resource-rows.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { TopologyCache } from '../topology/topology-cache.js';
import type { CreateSchedulerRequest, GetSchedulersQuery, UpdateSchedulerRequest } from './instance-requests.js';
import { SCHEDULER_FEATURES } from './scheduler-features.js';

/** Schedulers as the REST API shows and edits them. */
@Injectable()
export class SchedulersService {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `not-found` (cluster), `already-exists` */
  async create(request: CreateSchedulerRequest): Promise<SchedulerBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, SchedulerClusterEntity, request.scheduler_cluster_id);
      const id = await insertRow(manager, SchedulerEntity, now, {
        config: stored(request.config ?? {}),
        hostName: request.host_name,
        idc: request.idc ?? '',
        location: request.location ?? '',
        ip: request.ip,
        port: request.port,
        features: request.features ?? [...SCHEDULER_FEATURES],
        schedulerClusterId: request.scheduler_cluster_id,
      });
      return rowById(manager, SchedulerEntity, id);
    });
    await this.topology.invalidate();
    return schedulerBody(row);
  }

  async get(id: number, scope: TenantScope): Promise<SchedulerBody> {
    const { manager } = this.database;
    const row = await rowById(manager, SchedulerEntity, id);
    scope.requireCluster(row.schedulerClusterId);
    const cluster = await manager.findOneBy(SchedulerClusterEntity, { id: row.schedulerClusterId, isDel: 0 });
    return schedulerBody(row, cluster ?? undefined);
  }

  async list(query: GetSchedulersQuery, scope: TenantScope): Promise<{ bodies: SchedulerBody[]; total: number }> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      SchedulerEntity,
      {
        hostName: query.host_name,
        idc: query.idc,
        location: query.location,
        ip: query.ip,
        state: query.state,
        schedulerClusterId: query.scheduler_cluster_id,
      },
      pageOf(query),
      { schedulerClusterId: scope.clusterIds },
    );
    return { bodies: rows.map((row) => schedulerBody(row)), total };
  }

  /** Parts that are left out stay as they are. */
  async update(id: number, request: UpdateSchedulerRequest, scope: TenantScope): Promise<SchedulerBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const former = await rowById(manager, SchedulerEntity, id);
      scope.requireCluster(former.schedulerClusterId);
      if (request.scheduler_cluster_id) {
        scope.requireCluster(request.scheduler_cluster_id);
        await rowById(manager, SchedulerClusterEntity, request.scheduler_cluster_id);
      }
      await updateRow(manager, SchedulerEntity, now, id, {
        config: request.config && stored(request.config),
        idc: request.idc,
        location: request.location,
        ip: request.ip || undefined,
        port: request.port || undefined,
        features: request.features,
        schedulerClusterId: request.scheduler_cluster_id || undefined,
      });
      return rowById(manager, SchedulerEntity, id);
    });
    await this.topology.invalidate();
    return schedulerBody(row);
  }

  async delete(id: number, scope: TenantScope): Promise<void> {
    await this.database.transaction(async (manager) => {
      const row = await rowById(manager, SchedulerEntity, id);
      scope.requireCluster(row.schedulerClusterId);
      await manager.delete(SchedulerEntity, { id });
    });
    await this.topology.invalidate();
  }
}
