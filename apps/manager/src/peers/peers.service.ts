import { DfError } from '@dragonfly/errors';
import { Database, insertRow, PeerEntity, SchedulerClusterEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Clock } from '../clock.js';
import type { JobCaller } from '../jobs/job-caller.js';
import { jsonTime } from '../rest/json-time.js';
import { pageOf, rowsOf } from '../rest/pagination.js';
import { schedulerClusterBody, type SchedulerClusterBody } from '../rest/resource-bodies.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { ACTIVE } from '../topology/topology.js';
import type { CreatePeerRequest, GetPeersQuery } from './peer-requests.js';

/** A peer as the REST API shows it. */
export interface PeerBody {
  id: number;
  created_at: string;
  updated_at: string;
  is_del: number;
  host_name: string;
  type: string;
  idc: string;
  location: string;
  ip: string;
  port: number;
  download_port: number;
  proxy_port: number;
  object_storage_port: number;
  state: string;
  os: string;
  platform: string;
  platform_family: string;
  platform_version: string;
  kernel_version: string;
  git_version: string;
  git_commit: string;
  build_platform: string;
  scheduler_cluster_id: number;
  scheduler_cluster: SchedulerClusterBody;
}

/** Peers as the REST API shows and edits them. */
@Injectable()
export class PeersService {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `not-found` (cluster), `already-exists` */
  async create(request: CreatePeerRequest, { scope }: JobCaller): Promise<PeerBody> {
    requireCluster(scope, request.scheduler_cluster_id);
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const cluster = await rowById(manager, SchedulerClusterEntity, request.scheduler_cluster_id);
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
        state: request.state || ACTIVE,
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
      return peerBody(await rowById(manager, PeerEntity, id), cluster);
    });
  }

  async get(id: number, { scope }: JobCaller): Promise<PeerBody> {
    const { manager } = this.database;
    const row = await rowById(manager, PeerEntity, id);
    requireCluster(scope, row.schedulerClusterId);
    const cluster = await manager.findOneBy(SchedulerClusterEntity, { id: row.schedulerClusterId, isDel: 0 });
    return peerBody(row, cluster ?? undefined);
  }

  async list(query: GetPeersQuery, { scope }: JobCaller): Promise<{ bodies: PeerBody[]; total: number }> {
    const filters = {
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
    };
    const clusters = scope.clusterIds;
    const clusterId = query.scheduler_cluster_id;
    const inScope = clusterId ? (scope.hasCluster(clusterId) ? clusterId : -1) : clusters && In([...clusters]);
    const where = {
      isDel: 0,
      ...Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined && value !== '')),
      ...(inScope === undefined ? {} : { schedulerClusterId: inScope }),
    };
    const [rows, total] = await this.database.manager.findAndCount(PeerEntity, {
      where,
      order: { id: 'ASC' },
      ...rowsOf(pageOf(query)),
    });
    return { bodies: rows.map((row) => peerBody(row)), total };
  }

  async delete(id: number, { scope }: JobCaller): Promise<void> {
    await this.database.transaction(async (manager) => {
      const row = await rowById(manager, PeerEntity, id);
      requireCluster(scope, row.schedulerClusterId);
      await manager.delete(PeerEntity, { id });
    });
  }
}

function requireCluster(scope: JobCaller['scope'], id: number): void {
  if (!scope.hasCluster(id)) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
}

/** Lists do not load the cluster: a zero object, as the original has it. */
const NO_CLUSTER: SchedulerClusterBody = {
  ...schedulerClusterBody({
    id: 0,
    createdAt: null,
    updatedAt: null,
    isDel: 0,
    name: '',
    bio: '',
    config: {},
    clientConfig: {},
    seedClientConfig: {},
    scopes: {},
    isDefault: false,
  }),
  config: null,
  client_config: null,
  seed_client_config: null,
  scopes: null,
};

function peerBody(row: PeerEntity, cluster?: SchedulerClusterEntity): PeerBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    updated_at: jsonTime(row.updatedAt),
    is_del: row.isDel,
    host_name: row.hostName,
    type: row.type ?? '',
    idc: row.idc ?? '',
    location: row.location ?? '',
    ip: row.ip,
    port: row.port,
    download_port: row.downloadPort,
    proxy_port: row.proxyPort,
    object_storage_port: row.objectStoragePort ?? 0,
    state: row.state ?? '',
    os: row.os ?? '',
    platform: row.platform ?? '',
    platform_family: row.platformFamily ?? '',
    platform_version: row.platformVersion ?? '',
    kernel_version: row.kernelVersion ?? '',
    git_version: row.gitVersion ?? '',
    git_commit: row.gitCommit ?? '',
    build_platform: row.buildPlatform ?? '',
    scheduler_cluster_id: row.schedulerClusterId,
    scheduler_cluster: cluster ? schedulerClusterBody(cluster) : NO_CLUSTER,
  };
}
