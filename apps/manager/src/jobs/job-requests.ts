import { z } from 'zod';
import { preheatOf20 } from '../rest/bodies-of-2-0.js';

import { pageFields } from '../rest/pagination.js';
import {
  optionalEntries,
  optionalFlag,
  optionalInteger,
  optionalList,
  optionalText,
  queryId,
  requestType,
  requiredObject,
  requiredText,
  type RequestType,
} from '../rest/rest-schema.js';
import { ENTRIES, ID_LIST, IP, IP_LIST, PLATFORM_LIST, URL_LIST, WORD } from '../rest/list-bounds.js';

const BIO = { max: 1024 };
const PIECE_LENGTH = { min: 4 * 1024 * 1024, max: 64 * 1024 * 1024 };
/** `single_peer` is what Harbor and managers before 2.2 call a single seed peer. */
export const PREHEAT_SCOPES = ['single_seed_peer', 'all_seed_peers', 'all_peers', 'single_peer'] as const;
export const JOB_STATES = ['PENDING', 'RECEIVED', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE'] as const;

const textMap = optionalEntries(z.string(), ENTRIES);
const anyObject = optionalEntries(z.unknown(), ENTRIES);
/** Of a job whose type is not known yet. */
const anything = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? undefined);
const ids = optionalList(z.int().min(0), ID_LIST);

/** Who is told of the end. Ours. */
const webhook = z
  .object({ url: requiredText({ format: 'http_url', max: 2048 }), secret: optionalText({ max: 256 }) })
  .nullish()
  .transform((value) => value ?? undefined);

const common = {
  bio: optionalText(BIO),
  type: requiredText(),
  user_id: optionalInteger({ min: 0 }),
  seed_peer_cluster_ids: ids,
  scheduler_cluster_ids: ids,
  webhook,
};

/** The type that the request is for; by it the request has been chosen, so that this describes more than it checks. */
function ofType(type: string) {
  return { type: requiredText({ oneOf: [type] }) };
}

const preheatArgs = {
  type: requiredText({ oneOf: ['image', 'file'] }),
  url: optionalText({ max: 8192 }),
  urls: optionalList(z.string().max(8192), URL_LIST),
  piece_length: optionalInteger(PIECE_LENGTH),
  tag: optionalText(),
  application: optionalText(),
  filtered_query_params: optionalText(),
  headers: textMap,
  username: optionalText(),
  password: optionalText(),
  platform: optionalText(),
  scope: optionalText({ oneOf: PREHEAT_SCOPES }),
  ips: optionalList(z.string().max(IP.max), IP_LIST),
  percentage: optionalInteger({ min: 1, max: 100 }),
  count: optionalInteger({ min: 1, max: 200 }),
  concurrent_task_count: optionalInteger({ min: 1, max: 100 }),
  concurrent_peer_count: optionalInteger({ min: 1, max: 1000 }),
  timeout: optionalInteger({ min: 1 }),
  object_storage: anyObject,
  hdfs: anyObject,
  // Ours: several platforms of a multi-platform image, every entry below a directory, ids of layers by their digest.
  platforms: optionalList(z.string().max(WORD.max), PLATFORM_LIST),
  recursive: optionalFlag(),
  enable_task_id_based_blob_digest: optionalFlag(),
};
export const PreheatArgs = z.object(preheatArgs);
export type PreheatArgs = z.output<typeof PreheatArgs>;

export const CreatePreheatJobRequest = requestType(
  'CreatePreheatJobRequest',
  z.object({ ...common, ...ofType('preheat'), args: requiredObject(preheatArgs) }),
  preheatOf20,
);

const taskArgs = {
  task_id: optionalText(),
  url: optionalText({ max: 8192 }),
  piece_length: optionalInteger(PIECE_LENGTH),
  tag: optionalText(),
  application: optionalText(),
  filtered_query_params: optionalText(),
  content_for_calculating_task_id: optionalText(),
  concurrent_peer_count: optionalInteger({ min: 1, max: 1000 }),
  timeout: optionalInteger({ min: 1 }),
};
export const TaskArgs = z.object(taskArgs);
export type TaskArgs = z.output<typeof TaskArgs>;

export const CreateGetTaskJobRequest = requestType(
  'CreateGetTaskJobRequest',
  z.object({ ...common, ...ofType('get_task'), args: requiredObject(taskArgs) }),
);
export const CreateDeleteTaskJobRequest = requestType(
  'CreateDeleteTaskJobRequest',
  z.object({ ...common, ...ofType('delete_task'), args: requiredObject(taskArgs) }),
);
export const CreateSyncPeersJobRequest = requestType(
  'CreateSyncPeersJobRequest',
  z.object({ ...common, ...ofType('sync_peers') }),
);

const imageArgs = {
  url: requiredText({ max: 8192 }),
  piece_length: optionalInteger(PIECE_LENGTH),
  tag: optionalText(),
  application: optionalText(),
  filtered_query_params: optionalText(),
  headers: textMap,
  username: optionalText(),
  password: optionalText(),
  platform: optionalText(),
  concurrent_layer_count: optionalInteger({ min: 1, max: 100 }),
  concurrent_peer_count: optionalInteger({ min: 1, max: 1000 }),
  timeout: optionalInteger({ min: 1 }),
};
export const ImageDistributionArgs = z.object(imageArgs);
export type ImageDistributionArgs = z.output<typeof ImageDistributionArgs>;

export const CreateGetImageDistributionJobRequest = requestType(
  'CreateGetImageDistributionJobRequest',
  z.object({ ...common, ...ofType('get_image_distribution'), args: requiredObject(imageArgs) }),
);

export const CreateGCJobRequest = requestType(
  'CreateGCJobRequest',
  z.object({ ...common, ...ofType('gc'), args: requiredObject({ type: requiredText({ oneOf: ['audit', 'job'] }) }) }),
);

/** What every job has, before it is known of which type it is. Only the type is looked at. */
export const CreateJobRequest = requestType('CreateJobRequest', z.object({ ...common, args: anything }));
export type CreateJobRequest = z.output<typeof CreateJobRequest.schema>;

export const UpdateJobRequest = requestType(
  'UpdateJobRequest',
  z.object({ bio: optionalText(BIO), user_id: optionalInteger({ min: 0 }) }),
);
export type UpdateJobRequest = z.output<typeof UpdateJobRequest.schema>;

export const GetJobsQuery = requestType(
  'GetJobsQuery',
  z.object({ type: optionalText(), state: optionalText({ oneOf: JOB_STATES }), user_id: queryId(), ...pageFields }),
);
export type GetJobsQuery = z.output<typeof GetJobsQuery.schema>;

/** Requests by the type that they name. */
export const JOB_REQUESTS = {
  preheat: CreatePreheatJobRequest,
  get_task: CreateGetTaskJobRequest,
  delete_task: CreateDeleteTaskJobRequest,
  get_image_distribution: CreateGetImageDistributionJobRequest,
  sync_peers: CreateSyncPeersJobRequest,
  gc: CreateGCJobRequest,
} as const satisfies Record<string, RequestType>;
export type JobType = keyof typeof JOB_REQUESTS;

export function isJobType(type: string): type is JobType {
  return Object.hasOwn(JOB_REQUESTS, type);
}
