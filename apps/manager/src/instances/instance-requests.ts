import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import {
  optionalInteger,
  optionalList,
  optionalObject,
  optionalText,
  queryId,
  queryInteger,
  requestType,
  requiredInteger,
  requiredText,
} from '../rest/rest-schema.js';

const STATES = { oneOf: ['active', 'inactive'] };
const SEED_PEER_TYPES = { oneOf: ['super'] };
const schedulerConfig = optionalObject({ manager_keep_alive_interval: requiredInteger() });

export const CreateSchedulerRequest = requestType(
  'CreateSchedulerRequest',
  z.object({
    config: schedulerConfig,
    host_name: requiredText(),
    idc: optionalText(),
    location: optionalText(),
    ip: requiredText(),
    port: requiredInteger(),
    features: optionalList(z.string()),
    scheduler_cluster_id: requiredInteger({ min: 0 }),
  }),
);
export type CreateSchedulerRequest = z.output<typeof CreateSchedulerRequest.schema>;

export const UpdateSchedulerRequest = requestType(
  'UpdateSchedulerRequest',
  z.object({
    config: schedulerConfig,
    idc: optionalText(),
    location: optionalText(),
    ip: optionalText(),
    port: optionalInteger(),
    scheduler_id: optionalInteger({ min: 0 }),
    features: optionalList(z.string()),
    scheduler_cluster_id: optionalInteger({ min: 0 }),
  }),
);
export type UpdateSchedulerRequest = z.output<typeof UpdateSchedulerRequest.schema>;

export const GetSchedulersQuery = requestType(
  'GetSchedulersQuery',
  z.object({
    ...pageFields,
    host_name: optionalText(),
    idc: optionalText(),
    location: optionalText(),
    ip: optionalText(),
    state: optionalText(STATES),
    scheduler_cluster_id: queryId(),
  }),
);
export type GetSchedulersQuery = z.output<typeof GetSchedulersQuery.schema>;

export const CreateSeedPeerRequest = requestType(
  'CreateSeedPeerRequest',
  z.object({
    host_name: requiredText(),
    type: requiredText(SEED_PEER_TYPES),
    idc: optionalText(),
    location: optionalText(),
    ip: requiredText(),
    port: requiredInteger(),
    download_port: requiredInteger(),
    object_storage_port: optionalInteger(),
    seed_peer_cluster_id: requiredInteger({ min: 0 }),
  }),
);
export type CreateSeedPeerRequest = z.output<typeof CreateSeedPeerRequest.schema>;

export const UpdateSeedPeerRequest = requestType(
  'UpdateSeedPeerRequest',
  z.object({
    type: optionalText(SEED_PEER_TYPES),
    idc: optionalText(),
    location: optionalText(),
    ip: optionalText(),
    port: optionalInteger(),
    download_port: optionalInteger(),
    object_storage_port: optionalInteger(),
    seed_peer_cluster_id: optionalInteger({ min: 0 }),
  }),
);
export type UpdateSeedPeerRequest = z.output<typeof UpdateSeedPeerRequest.schema>;

export const GetSeedPeersQuery = requestType(
  'GetSeedPeersQuery',
  z.object({
    host_name: optionalText(),
    type: optionalText(SEED_PEER_TYPES),
    idc: optionalText(),
    location: optionalText(),
    ip: optionalText(),
    port: queryInteger(),
    download_port: queryInteger(),
    object_storage_port: queryInteger(),
    seed_peer_cluster_id: queryId(),
    ...pageFields,
    state: optionalText(STATES),
  }),
);
export type GetSeedPeersQuery = z.output<typeof GetSeedPeersQuery.schema>;
