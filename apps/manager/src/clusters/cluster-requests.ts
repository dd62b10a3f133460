import { z } from 'zod';
import { schedulerClusterOf20 } from '../rest/bodies-of-2-0.js';

import { pageFields } from '../rest/pagination.js';
import {
  optionalFlag,
  optionalInteger,
  optionalList,
  optionalObject,
  optionalText,
  requestType,
  requiredObject,
  requiredText,
} from '../rest/rest-schema.js';
import { BLOCK_ENTRY, BLOCK_LIST, CIDR, CIDR_LIST, HOSTNAME, HOSTNAME_LIST, WORD_LIST } from '../rest/list-bounds.js';

/** Lengths of the columns in characters: MySQL refuses what is longer, and SQLite must not take what MySQL refuses. */
const NAME = { max: 256 };
const BIO = { max: 1024 };

const blockEntry = z.string().max(BLOCK_ENTRY.max);
const uploadBlockList = {
  applications: optionalList(blockEntry, BLOCK_LIST),
  urls: optionalList(blockEntry, BLOCK_LIST),
  tags: optionalList(blockEntry, BLOCK_LIST),
};
const downloadBlockList = { ...uploadBlockList, priorities: optionalList(z.int(), BLOCK_LIST) };
const bothWays = { download: optionalObject(downloadBlockList), upload: optionalObject(uploadBlockList) };
const blockList = {
  task: optionalObject({ download: optionalObject(downloadBlockList) }),
  persistent_task: optionalObject(bothWays),
  persistent_cache_task: optionalObject(bothWays),
};

const SCHEDULING_STRATEGIES = ['default', 'random', 'adaptive', 'plugin'] as const;

const schedulerClusterConfig = {
  candidate_parent_limit: optionalInteger({ min: 1, max: 20 }),
  filter_parent_limit: optionalInteger({ min: 10, max: 1_000 }),
  job_rate_limit: optionalInteger({ min: 1, max: 1_000_000 }),
  // Ours: which strategies the cluster's schedulers decide by, in place of their own configuration.
  scheduling_strategy: optionalObject({
    algorithm: z.enum(SCHEDULING_STRATEGIES).optional(),
    split: optionalList(
      z.object({ name: z.enum(SCHEDULING_STRATEGIES), percent: z.number().min(0).max(100) }),
      WORD_LIST,
    ),
  }),
  // Ours: how many hosts may read one source, and what an origin may be asked for (bytes a second, requests; 0 = no limit).
  source_lease: optionalObject({
    readers: optionalInteger({ min: 1, max: 16 }),
    origin_bandwidth_limit: optionalInteger({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    origin_concurrent_requests: optionalInteger({ min: 0, max: 1_000_000 }),
  }),
};
const clientConfig = {
  load_limit: optionalInteger({ min: 1, max: 2_000 }),
  block_list: optionalObject(blockList),
};
const seedClientConfig = { block_list: optionalObject(blockList) };
const seedPeerClusterConfig = {
  load_limit: optionalInteger({ min: 1, max: 50_000 }),
  block_list: optionalObject(blockList),
};
const scopes = {
  idc: optionalText(),
  location: optionalText(),
  cidrs: optionalList(z.string().max(CIDR.max), CIDR_LIST),
  hostnames: optionalList(z.string().max(HOSTNAME.max), HOSTNAME_LIST),
};

export const CreateClusterRequest = requestType(
  'CreateClusterRequest',
  z.object({
    name: requiredText(NAME),
    bio: optionalText(BIO),
    scopes: optionalObject(scopes),
    scheduler_cluster_config: requiredObject(schedulerClusterConfig),
    seed_peer_cluster_config: requiredObject(seedPeerClusterConfig),
    peer_cluster_config: requiredObject(clientConfig),
    is_default: optionalFlag(),
  }),
);
export type CreateClusterRequest = z.output<typeof CreateClusterRequest.schema>;

export const UpdateClusterRequest = requestType(
  'UpdateClusterRequest',
  z.object({
    name: optionalText(NAME),
    bio: optionalText(BIO),
    scopes: optionalObject(scopes),
    scheduler_cluster_config: optionalObject(schedulerClusterConfig),
    seed_peer_cluster_config: optionalObject(seedPeerClusterConfig),
    peer_cluster_config: optionalObject(clientConfig),
    is_default: optionalFlag(),
  }),
);
export type UpdateClusterRequest = z.output<typeof UpdateClusterRequest.schema>;

export const CreateSchedulerClusterRequest = requestType(
  'CreateSchedulerClusterRequest',
  z.object({
    name: requiredText(NAME),
    bio: optionalText(BIO),
    config: requiredObject(schedulerClusterConfig),
    client_config: requiredObject(clientConfig),
    seed_client_config: requiredObject(seedClientConfig),
    scopes: optionalObject(scopes),
    is_default: optionalFlag(),
    seed_peer_cluster_id: optionalInteger({ min: 0 }),
  }),
  schedulerClusterOf20,
);
export type CreateSchedulerClusterRequest = z.output<typeof CreateSchedulerClusterRequest.schema>;

export const UpdateSchedulerClusterRequest = requestType(
  'UpdateSchedulerClusterRequest',
  z.object({
    name: optionalText(NAME),
    bio: optionalText(BIO),
    config: optionalObject(schedulerClusterConfig),
    client_config: optionalObject(clientConfig),
    seed_client_config: optionalObject(seedClientConfig),
    scopes: optionalObject(scopes),
    is_default: optionalFlag(),
    seed_peer_cluster_id: optionalInteger({ min: 0 }),
  }),
  schedulerClusterOf20,
);
export type UpdateSchedulerClusterRequest = z.output<typeof UpdateSchedulerClusterRequest.schema>;

export const CreateSeedPeerClusterRequest = requestType(
  'CreateSeedPeerClusterRequest',
  z.object({ name: requiredText(NAME), bio: optionalText(BIO), config: requiredObject(seedPeerClusterConfig) }),
);
export type CreateSeedPeerClusterRequest = z.output<typeof CreateSeedPeerClusterRequest.schema>;

export const UpdateSeedPeerClusterRequest = requestType(
  'UpdateSeedPeerClusterRequest',
  z.object({ name: optionalText(NAME), bio: optionalText(BIO), config: optionalObject(seedPeerClusterConfig) }),
);
export type UpdateSeedPeerClusterRequest = z.output<typeof UpdateSeedPeerClusterRequest.schema>;

const listFields = { name: optionalText(), ...pageFields };
export const GetClustersQuery = requestType('GetClustersQuery', z.object(listFields));
export const GetSchedulerClustersQuery = requestType('GetSchedulerClustersQuery', z.object(listFields));
export const GetSeedPeerClustersQuery = requestType('GetSeedPeerClustersQuery', z.object(listFields));
export type GetClustersQuery = z.output<typeof GetClustersQuery.schema>;
