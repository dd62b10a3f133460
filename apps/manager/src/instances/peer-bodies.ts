import type { PeerEntity, SchedulerClusterEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { schedulerClusterBody, SchedulerClusterBody, ZERO_SCHEDULER_CLUSTER } from '../rest/resource-bodies.js';
import { base, type BaseBody, baseFields } from '../rest/shared-bodies.js';

export interface PeerBody extends BaseBody {
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

export const PeerBody: z.ZodType<PeerBody> = bodyType(
  'Peer',
  z.object({
    ...baseFields,
    host_name: z.string(),
    type: z.string(),
    idc: z.string(),
    location: z.string(),
    ip: z.string(),
    port: z.int(),
    download_port: z.int(),
    proxy_port: z.int(),
    object_storage_port: z.int(),
    state: z.string(),
    os: z.string(),
    platform: z.string(),
    platform_family: z.string(),
    platform_version: z.string(),
    kernel_version: z.string(),
    git_version: z.string(),
    git_commit: z.string(),
    build_platform: z.string(),
    scheduler_cluster_id: z.int(),
    scheduler_cluster: SchedulerClusterBody,
  }),
);

export function peerBody(row: PeerEntity, cluster?: SchedulerClusterEntity): PeerBody {
  return {
    ...base(row),
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
    scheduler_cluster: cluster ? schedulerClusterBody(cluster) : ZERO_SCHEDULER_CLUSTER,
  };
}
