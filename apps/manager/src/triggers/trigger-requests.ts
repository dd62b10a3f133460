import { z } from 'zod';
import { PreheatArgs } from '../jobs/job-requests.js';
import { pageFields } from '../rest/pagination.js';
import {
  optionalFlag,
  optionalInteger,
  optionalList,
  optionalText,
  requestType,
  requiredObject,
  requiredText,
} from '../rest/rest-schema.js';
import { ID_LIST, PATTERN_LIST } from '../rest/list-bounds.js';

const NAME = { max: 100 };
export const TRIGGER_KINDS = ['schedule', 'watch', 'push'] as const;
/** Seconds between two looks; a look asks somebody else's registry. */
const INTERVAL_S = { min: 10, max: 86_400 };

const patterns = optionalList(z.string().min(1).max(256), PATTERN_LIST);

const watch = z
  .object({
    type: requiredText({ oneOf: ['registry', 'object'] }),
    /** `<scheme>://<host>/v2/<repository>`, `<scheme>://<host>` of a push trigger, or the URL of a file or directory. */
    url: requiredText({ max: 2048, format: 'url' }),
    repositories: patterns,
    tags: patterns,
  })
  .nullish()
  .transform((value) => value ?? undefined);
export type WatchSpec = NonNullable<z.output<typeof watch>>;

const job = {
  type: requiredText({ oneOf: ['preheat'] }),
  bio: optionalText({ max: 1024 }),
  args: requiredObject(PreheatArgs.shape),
  scheduler_cluster_ids: optionalList(z.int().min(0), ID_LIST),
  webhook: z
    .object({ url: requiredText({ format: 'http_url', max: 2048 }), secret: optionalText({ max: 256 }) })
    .nullish()
    .transform((value) => value ?? undefined),
};
export const TriggerJob = z.object(job);
export type TriggerJob = z.output<typeof TriggerJob>;

export const CreateTriggerRequest = requestType(
  'CreateTriggerRequest',
  z.object({
    name: requiredText(NAME),
    kind: requiredText({ oneOf: TRIGGER_KINDS }),
    enabled: optionalFlag(),
    cron: optionalText({ max: 256 }),
    interval_seconds: optionalInteger(INTERVAL_S),
    job: requiredObject(job),
    watch,
    user_id: optionalInteger({ min: 0 }),
  }),
);
export type CreateTriggerRequest = z.output<typeof CreateTriggerRequest.schema>;

export const UpdateTriggerRequest = requestType(
  'UpdateTriggerRequest',
  z.object({
    enabled: optionalFlag(),
    cron: optionalText({ max: 256 }),
    interval_seconds: optionalInteger(INTERVAL_S),
  }),
);
export type UpdateTriggerRequest = z.output<typeof UpdateTriggerRequest.schema>;

export const GetTriggersQuery = requestType(
  'GetTriggersQuery',
  z.object({ kind: optionalText({ oneOf: TRIGGER_KINDS }), name: optionalText(), ...pageFields }),
);
export type GetTriggersQuery = z.output<typeof GetTriggersQuery.schema>;
