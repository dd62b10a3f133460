import type {
  JsonObject,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
} from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from './answers.js';
import { jsonTime } from './json-time.js';
import { base, type BaseBody, baseFields, json, time, ZERO_BASE } from './shared-bodies.js';

/**
 * JSON bodies of clusters and their members, field by field in the original's order. A part that an answer does not
 * load is a zero object or null there, and clients rely on the fields being present.
 */
export interface SchedulerClusterBody extends BaseBody {
  name: string;
  bio: string;
  config: JsonObject | null;
  client_config: JsonObject | null;
  seed_client_config: JsonObject | null;
  scopes: JsonObject | null;
  is_default: boolean;
  seed_peer_clusters: SeedPeerClusterBody[] | null;
  schedulers: SchedulerBody[] | null;
  peers: null;
  jobs: null;
}

export interface SeedPeerClusterBody extends BaseBody {
  name: string;
  bio: string;
  config: JsonObject | null;
  scheduler_clusters: SchedulerClusterBody[] | null;
  seed_peer: SeedPeerBody[] | null;
  jobs: null;
}

export interface SchedulerBody extends BaseBody {
  config: JsonObject;
  host_name: string;
  idc: string;
  location: string;
  ip: string;
  port: number;
  state: string;
  features: string[];
  last_keep_alive_at: string;
  scheduler_cluster_id: number;
  scheduler_cluster: SchedulerClusterBody;
}

export interface SeedPeerBody extends BaseBody {
  host_name: string;
  type: string;
  idc: string;
  location: string;
  ip: string;
  port: number;
  download_port: number;
  object_storage_port: number;
  state: string;
  seed_peer_cluster_id: number;
  seed_peer_cluster: SeedPeerClusterBody;
}

export const SchedulerClusterBody: z.ZodType<SchedulerClusterBody> = bodyType(
  'SchedulerCluster',
  z.object({
    ...baseFields,
    name: z.string(),
    bio: z.string(),
    config: json().nullable(),
    client_config: json().nullable(),
    seed_client_config: json().nullable(),
    scopes: json().nullable(),
    is_default: z.boolean(),
    seed_peer_clusters: z.lazy(() => z.array(SeedPeerClusterBody).nullable()),
    schedulers: z.lazy(() => z.array(SchedulerBody).nullable()),
    peers: z.null(),
    jobs: z.null(),
  }),
);

export const SeedPeerClusterBody: z.ZodType<SeedPeerClusterBody> = bodyType(
  'SeedPeerCluster',
  z.object({
    ...baseFields,
    name: z.string(),
    bio: z.string(),
    config: json().nullable(),
    scheduler_clusters: z.array(SchedulerClusterBody).nullable(),
    seed_peer: z.lazy(() => z.array(SeedPeerBody).nullable()),
    jobs: z.null(),
  }),
);

export const SchedulerBody: z.ZodType<SchedulerBody> = bodyType(
  'Scheduler',
  z.object({
    ...baseFields,
    config: json(),
    host_name: z.string(),
    idc: z.string(),
    location: z.string(),
    ip: z.string(),
    port: z.int(),
    state: z.string(),
    features: z.array(z.string()),
    last_keep_alive_at: time(),
    scheduler_cluster_id: z.int(),
    scheduler_cluster: SchedulerClusterBody,
  }),
);

export const SeedPeerBody: z.ZodType<SeedPeerBody> = bodyType(
  'SeedPeer',
  z.object({
    ...baseFields,
    host_name: z.string(),
    type: z.string(),
    idc: z.string(),
    location: z.string(),
    ip: z.string(),
    port: z.int(),
    download_port: z.int(),
    object_storage_port: z.int(),
    state: z.string(),
    seed_peer_cluster_id: z.int(),
    seed_peer_cluster: SeedPeerClusterBody,
  }),
);

/** Where a member's cluster is not loaded. */
export const ZERO_SCHEDULER_CLUSTER: SchedulerClusterBody = {
  ...ZERO_BASE,
  name: '',
  bio: '',
  config: null,
  client_config: null,
  seed_client_config: null,
  scopes: null,
  is_default: false,
  seed_peer_clusters: null,
  schedulers: null,
  peers: null,
  jobs: null,
};

const ZERO_SEED_PEER_CLUSTER: SeedPeerClusterBody = {
  ...ZERO_BASE,
  name: '',
  bio: '',
  config: null,
  scheduler_clusters: null,
  seed_peer: null,
  jobs: null,
};

export function schedulerClusterBody(
  row: SchedulerClusterEntity,
  loaded: { seedPeerClusters?: readonly SeedPeerClusterEntity[]; schedulers?: readonly SchedulerEntity[] } = {},
): SchedulerClusterBody {
  return {
    ...base(row),
    name: row.name,
    bio: row.bio ?? '',
    config: row.config,
    client_config: row.clientConfig,
    seed_client_config: row.seedClientConfig,
    scopes: row.scopes,
    is_default: row.isDefault,
    seed_peer_clusters: loaded.seedPeerClusters?.map((cluster) => seedPeerClusterBody(cluster)) ?? null,
    schedulers: loaded.schedulers?.map((scheduler) => schedulerBody(scheduler)) ?? null,
    peers: null,
    jobs: null,
  };
}

export function seedPeerClusterBody(
  row: SeedPeerClusterEntity,
  loaded: { schedulerClusters?: readonly SchedulerClusterEntity[]; seedPeers?: readonly SeedPeerEntity[] } = {},
): SeedPeerClusterBody {
  return {
    ...base(row),
    name: row.name,
    bio: row.bio ?? '',
    config: row.config,
    scheduler_clusters: loaded.schedulerClusters?.map((cluster) => schedulerClusterBody(cluster)) ?? null,
    seed_peer: loaded.seedPeers?.map((seedPeer) => seedPeerBody(seedPeer)) ?? null,
    jobs: null,
  };
}

export function schedulerBody(row: SchedulerEntity, cluster?: SchedulerClusterEntity): SchedulerBody {
  return {
    ...base(row),
    config: row.config,
    host_name: row.hostName,
    idc: row.idc ?? '',
    location: row.location ?? '',
    ip: row.ip,
    port: row.port,
    state: row.state ?? '',
    features: row.features,
    last_keep_alive_at: jsonTime(row.lastKeepAliveAt),
    scheduler_cluster_id: row.schedulerClusterId,
    scheduler_cluster: cluster ? schedulerClusterBody(cluster) : ZERO_SCHEDULER_CLUSTER,
  };
}

export function seedPeerBody(row: SeedPeerEntity, cluster?: SeedPeerClusterEntity): SeedPeerBody {
  return {
    ...base(row),
    host_name: row.hostName,
    type: row.type ?? '',
    idc: row.idc ?? '',
    location: row.location ?? '',
    ip: row.ip,
    port: row.port,
    download_port: row.downloadPort,
    object_storage_port: row.objectStoragePort ?? 0,
    state: row.state ?? '',
    seed_peer_cluster_id: row.seedPeerClusterId,
    seed_peer_cluster: cluster ? seedPeerClusterBody(cluster) : ZERO_SEED_PEER_CLUSTER,
  };
}

/** A scheduler cluster and its seed peer cluster as one, the view of the console. */
export interface ClusterBody {
  id: number;
  name: string;
  bio: string;
  scopes: JsonObject;
  scheduler_cluster_id: number;
  seed_peer_cluster_id: number;
  scheduler_cluster_config: JsonObject;
  seed_peer_cluster_config: JsonObject;
  peer_cluster_config: JsonObject;
  created_at: string;
  updated_at: string;
  is_default: boolean;
}

export const ClusterBody: z.ZodType<ClusterBody> = bodyType(
  'Cluster',
  z.object({
    id: z.int(),
    name: z.string(),
    bio: z.string(),
    scopes: json(),
    scheduler_cluster_id: z.int(),
    seed_peer_cluster_id: z.int(),
    scheduler_cluster_config: json(),
    seed_peer_cluster_config: json(),
    peer_cluster_config: json(),
    created_at: time(),
    updated_at: time(),
    is_default: z.boolean(),
  }),
);

/** @param seedPeerCluster undefined when the scheduler cluster is linked to none */
export function clusterBody(row: SchedulerClusterEntity, seedPeerCluster?: SeedPeerClusterEntity): ClusterBody {
  return {
    id: row.id,
    name: row.name,
    bio: row.bio ?? '',
    scopes: {
      idc: row.scopes['idc'] ?? '',
      location: row.scopes['location'] ?? '',
      cidrs: row.scopes['cidrs'] ?? null,
      hostnames: row.scopes['hostnames'] ?? null,
    },
    scheduler_cluster_id: row.id,
    seed_peer_cluster_id: seedPeerCluster?.id ?? 0,
    scheduler_cluster_config: {
      candidate_parent_limit: row.config['candidate_parent_limit'] ?? 0,
      filter_parent_limit: row.config['filter_parent_limit'] ?? 0,
      job_rate_limit: row.config['job_rate_limit'] ?? 0,
      ...('scheduling_strategy' in row.config ? { scheduling_strategy: row.config['scheduling_strategy'] } : {}),
      ...('source_lease' in row.config ? { source_lease: row.config['source_lease'] } : {}),
    },
    seed_peer_cluster_config: limitsBody(seedPeerCluster?.config ?? {}),
    peer_cluster_config: limitsBody(row.clientConfig),
    created_at: jsonTime(row.createdAt),
    updated_at: jsonTime(row.updatedAt),
    is_default: row.isDefault,
  };
}

function limitsBody(config: JsonObject): JsonObject {
  const blockList = (config['block_list'] ?? {}) as JsonObject;
  return {
    load_limit: config['load_limit'] ?? 0,
    block_list: {
      task: blockList['task'] ?? null,
      persistent_task: blockList['persistent_task'] ?? null,
      persistent_cache_task: blockList['persistent_cache_task'] ?? null,
    },
  };
}
