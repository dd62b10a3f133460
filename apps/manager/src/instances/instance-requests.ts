import { z } from 'zod';
import { seedPeerOf20 } from '../rest/bodies-of-2-0.js';

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
import { WORD, WORD_LIST } from '../rest/list-bounds.js';

/** Lengths of the columns in characters: MySQL refuses what is longer, and SQLite must not take what MySQL refuses. */
const NAME = { max: 256 };
const PLACE = { max: 1024 };
const PORT = { min: 1, max: 65_535 };
const STATES = { oneOf: ['active', 'inactive'] };
const SEED_PEER_TYPES = { oneOf: ['super'] };
const schedulerConfig = optionalObject({ manager_keep_alive_interval: requiredInteger() });

export const CreateSchedulerRequest = requestType(
  'CreateSchedulerRequest',
  z.object({
    config: schedulerConfig,
    host_name: requiredText(NAME),
    idc: optionalText(PLACE),
    location: optionalText(PLACE),
    ip: requiredText(NAME),
    port: requiredInteger(PORT),
    features: optionalList(z.string().max(WORD.max), WORD_LIST),
    scheduler_cluster_id: requiredInteger({ min: 0 }),
  }),
);
export type CreateSchedulerRequest = z.output<typeof CreateSchedulerRequest.schema>;

export const UpdateSchedulerRequest = requestType(
  'UpdateSchedulerRequest',
  z.object({
    config: schedulerConfig,
    idc: optionalText(PLACE),
    location: optionalText(PLACE),
    ip: optionalText(NAME),
    port: optionalInteger(PORT),
    scheduler_id: optionalInteger({ min: 0 }),
    features: optionalList(z.string().max(WORD.max), WORD_LIST),
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
    host_name: requiredText(NAME),
    type: requiredText(SEED_PEER_TYPES),
    idc: optionalText(PLACE),
    location: optionalText(PLACE),
    ip: requiredText(NAME),
    port: requiredInteger(PORT),
    download_port: requiredInteger(PORT),
    object_storage_port: optionalInteger(PORT),
    seed_peer_cluster_id: requiredInteger({ min: 0 }),
  }),
  seedPeerOf20,
);
export type CreateSeedPeerRequest = z.output<typeof CreateSeedPeerRequest.schema>;

export const UpdateSeedPeerRequest = requestType(
  'UpdateSeedPeerRequest',
  z.object({
    type: optionalText(SEED_PEER_TYPES),
    idc: optionalText(PLACE),
    location: optionalText(PLACE),
    ip: optionalText(NAME),
    port: optionalInteger(PORT),
    download_port: optionalInteger(PORT),
    object_storage_port: optionalInteger(PORT),
    seed_peer_cluster_id: optionalInteger({ min: 0 }),
  }),
  seedPeerOf20,
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
