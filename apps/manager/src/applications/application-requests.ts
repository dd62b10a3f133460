import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import { patternText } from '../rest/pattern-text.js';
import {
  optionalList,
  optionalObject,
  optionalText,
  presentInteger,
  requestType,
  requiredInteger,
  requiredObject,
  requiredText,
} from '../rest/rest-schema.js';
import { PRIORITY_LIST } from '../rest/list-bounds.js';

const NAME = { max: 256 };
const BIO = { max: 1024 };
/** A longer one is no URL of anybody's; the column takes gigabytes. */
const URL = { max: 4096 };

const priorityValue = presentInteger({ min: 0, max: 20 });
const priority = {
  value: priorityValue,
  urls: optionalList(z.object({ regex: patternText(), value: priorityValue }), PRIORITY_LIST),
};

export const CreateApplicationRequest = requestType(
  'CreateApplicationRequest',
  z.object({
    name: requiredText(NAME),
    url: requiredText(URL),
    bio: optionalText(BIO),
    priority: requiredObject(priority),
    user_id: requiredInteger({ min: 0 }),
  }),
);
export type CreateApplicationRequest = z.output<typeof CreateApplicationRequest.schema>;

export const UpdateApplicationRequest = requestType(
  'UpdateApplicationRequest',
  z.object({
    name: optionalText(NAME),
    url: optionalText(URL),
    bio: optionalText(BIO),
    priority: optionalObject(priority),
    user_id: requiredInteger({ min: 0 }),
  }),
);
export type UpdateApplicationRequest = z.output<typeof UpdateApplicationRequest.schema>;

export const GetApplicationsQuery = requestType(
  'GetApplicationsQuery',
  z.object({ name: optionalText(), ...pageFields }),
);
export type GetApplicationsQuery = z.output<typeof GetApplicationsQuery.schema>;
