import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import {
  optionalInteger,
  optionalList,
  optionalText,
  optionalTime,
  queryId,
  requestType,
  requiredInteger,
  requiredText,
  requiredTime,
} from '../rest/rest-schema.js';
import { APPLICATION_LIST, ID_LIST, WORD, WORD_LIST } from '../rest/list-bounds.js';

const BIO = { max: 1024 };
/** The column of the original is a MySQL `timestamp`. */
const COLUMN_TIMES = { min: new Date('1970-01-01T00:00:01Z'), max: new Date('2038-01-19T03:14:07Z') };
const limits = {
  scheduler_cluster_ids: optionalList(z.int().min(1), ID_LIST),
  applications: optionalList(z.string().min(1).max(256), APPLICATION_LIST),
};

export const CreatePersonalAccessTokenRequest = requestType(
  'CreatePersonalAccessTokenRequest',
  z.object({
    name: requiredText({ max: 256 }),
    bio: optionalText(BIO),
    scopes: optionalList(z.string().max(WORD.max), WORD_LIST),
    expired_at: requiredTime(COLUMN_TIMES),
    user_id: requiredInteger({ min: 0 }),
    ...limits,
  }),
);
export type CreatePersonalAccessTokenRequest = z.output<typeof CreatePersonalAccessTokenRequest.schema>;

export const UpdatePersonalAccessTokenRequest = requestType(
  'UpdatePersonalAccessTokenRequest',
  z.object({
    bio: optionalText(BIO),
    scopes: optionalList(z.string().max(WORD.max), WORD_LIST),
    state: optionalText({ oneOf: ['active', 'inactive'] }),
    expired_at: optionalTime(COLUMN_TIMES),
    user_id: optionalInteger({ min: 0 }),
    ...limits,
  }),
);
export type UpdatePersonalAccessTokenRequest = z.output<typeof UpdatePersonalAccessTokenRequest.schema>;

export const GetPersonalAccessTokensQuery = requestType(
  'GetPersonalAccessTokensQuery',
  z.object({ state: optionalText({ oneOf: ['active', 'inactive'] }), user_id: queryId(), ...pageFields }),
);
export type GetPersonalAccessTokensQuery = z.output<typeof GetPersonalAccessTokensQuery.schema>;
