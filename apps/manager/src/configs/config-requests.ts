import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import {
  optionalInteger,
  optionalText,
  queryId,
  requestType,
  requiredInteger,
  requiredText,
} from '../rest/rest-schema.js';

const NAME = { max: 256 };
const TEXT = { max: 1024 };

export const CreateConfigRequest = requestType(
  'CreateConfigRequest',
  z.object({
    name: requiredText(NAME),
    value: requiredText(TEXT),
    bio: optionalText(TEXT),
    user_id: requiredInteger({ min: 0 }),
  }),
);
export type CreateConfigRequest = z.output<typeof CreateConfigRequest.schema>;

export const UpdateConfigRequest = requestType(
  'UpdateConfigRequest',
  z.object({
    name: optionalText(NAME),
    value: optionalText(TEXT),
    bio: optionalText(TEXT),
    user_id: optionalInteger({ min: 0 }),
  }),
);
export type UpdateConfigRequest = z.output<typeof UpdateConfigRequest.schema>;

export const GetConfigsQuery = requestType(
  'GetConfigsQuery',
  z.object({ name: optionalText(), value: optionalText(), user_id: queryId(), ...pageFields }),
);
export type GetConfigsQuery = z.output<typeof GetConfigsQuery.schema>;
