import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import { optionalInteger, optionalList, optionalText, requestType } from '../rest/rest-schema.js';
import { NAME_LIST } from '../rest/list-bounds.js';

const DAY_SECONDS = 86_400;
/** A token is meant for a machine that is being set up now. */
export const DEFAULT_TOKEN_TTL_SECONDS = DAY_SECONDS;

export const CreateJoinTokenRequest = requestType(
  'CreateJoinTokenRequest',
  z.object({
    bio: optionalText({ max: 1024 }),
    // The only names its certificate may have; without any it may have every name but those of the managers.
    names: optionalList(z.string().min(1).max(253), NAME_LIST),
    ttl_seconds: optionalInteger({ min: 60, max: 30 * DAY_SECONDS }),
  }),
);

export const ListQuery = requestType('ListQuery', z.object(pageFields));
