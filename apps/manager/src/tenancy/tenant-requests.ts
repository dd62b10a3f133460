import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import {
  optionalInteger,
  optionalList,
  optionalObject,
  optionalText,
  requestType,
  requiredText,
} from '../rest/rest-schema.js';
import { APPLICATION_LIST, ID_LIST } from '../rest/list-bounds.js';

const NAME = { max: 256 };
const BIO = { max: 1024 };
const QUOTA = { min: 1, max: 1_000_000 };
const content = {
  bio: optionalText(BIO),
  scheduler_cluster_ids: optionalList(z.int().min(1), ID_LIST),
  applications: optionalList(z.string().min(1).max(256), APPLICATION_LIST),
  limits: optionalObject({
    clusters: optionalInteger(QUOTA),
    users: optionalInteger(QUOTA),
    personal_access_tokens: optionalInteger(QUOTA),
    applications: optionalInteger(QUOTA),
    running_jobs: optionalInteger(QUOTA),
    jobs_per_minute: optionalInteger(QUOTA),
    requests_per_second: optionalInteger(QUOTA),
  }),
};

export const CreateTenantRequest = requestType(
  'CreateTenantRequest',
  z.object({ name: requiredText(NAME), ...content }),
);
export type CreateTenantRequest = z.output<typeof CreateTenantRequest.schema>;

export const UpdateTenantRequest = requestType(
  'UpdateTenantRequest',
  z.object({ name: optionalText(NAME), ...content, state: optionalText({ oneOf: ['enable', 'disable'] }) }),
);
export type UpdateTenantRequest = z.output<typeof UpdateTenantRequest.schema>;

export const GetTenantsQuery = requestType('GetTenantsQuery', z.object({ name: optionalText(), ...pageFields }));
export type GetTenantsQuery = z.output<typeof GetTenantsQuery.schema>;
