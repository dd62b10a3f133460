import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import {
  optionalInteger,
  optionalText,
  queryId,
  queryInteger,
  requestType,
  requiredInteger,
  requiredText,
} from '../rest/rest-schema.js';

/** Lengths of the columns in characters. */
const NAME = { max: 256 };
const PLACE = { max: 1024 };
const PORT = { min: 1, max: 65_535 };
const STATES = { oneOf: ['active', 'inactive'] };
const TYPES = { oneOf: ['super', 'normal'] };

const build = {
  os: optionalText(NAME),
  platform: optionalText(NAME),
  platform_family: optionalText(NAME),
  platform_version: optionalText(NAME),
  kernel_version: optionalText(NAME),
  git_version: optionalText(NAME),
  git_commit: optionalText(NAME),
  build_platform: optionalText(NAME),
};

export const CreatePeerRequest = requestType(
  'CreatePeerRequest',
  z.object({
    host_name: requiredText(NAME),
    type: requiredText(TYPES),
    idc: optionalText(PLACE),
    location: optionalText(PLACE),
    ip: requiredText(NAME),
    port: requiredInteger(PORT),
    download_port: requiredInteger(PORT),
    proxy_port: requiredInteger(PORT),
    object_storage_port: optionalInteger(PORT),
    state: optionalText(STATES),
    ...build,
    scheduler_cluster_id: requiredInteger({ min: 0 }),
  }),
);
export type CreatePeerRequest = z.output<typeof CreatePeerRequest.schema>;

export const GetPeersQuery = requestType(
  'GetPeersQuery',
  z.object({
    host_name: optionalText(),
    type: optionalText(TYPES),
    idc: optionalText(),
    location: optionalText(),
    ip: optionalText(),
    port: queryInteger(),
    download_port: queryInteger(),
    proxy_port: queryInteger(),
    object_storage_port: queryInteger(),
    state: optionalText(STATES),
    ...build,
    scheduler_cluster_id: queryId(),
    ...pageFields,
  }),
);
export type GetPeersQuery = z.output<typeof GetPeersQuery.schema>;
