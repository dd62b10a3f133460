import type { JobTriggerEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { masked } from '../jobs/masking.js';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { json } from '../rest/shared-bodies.js';

/** A trigger as the REST API shows it. */
export const TriggerBody = bodyType(
  'JobTrigger',
  z.object({
    id: z.int(),
    created_at: z.string(),
    updated_at: z.string(),
    name: z.string(),
    kind: z.string(),
    enabled: z.boolean(),
    /** `suspended`: its owner has lost the right to it; nothing is done until it is given back. */
    state: z.enum(['active', 'disabled', 'suspended']),
    state_reason: z.string(),
    cron: z.string(),
    interval_seconds: z.int(),
    job: json(),
    watch: json().nullable(),
    last_fired_at: z.string(),
    last_job_id: z.int(),
    last_error: z.string(),
    user_id: z.int(),
  }),
);
export type TriggerBody = z.output<typeof TriggerBody>;

/** @param refusal why it may not fire at present */
export function triggerBody(row: JobTriggerEntity, refusal: string | undefined): TriggerBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    updated_at: jsonTime(row.updatedAt),
    name: row.name,
    kind: row.kind,
    enabled: Boolean(row.isEnabled),
    state: !row.isEnabled ? 'disabled' : refusal === undefined ? 'active' : 'suspended',
    state_reason: refusal ?? '',
    cron: row.cron ?? '',
    interval_seconds: Math.round((row.intervalMs ?? 0) / 1_000),
    job: row.job,
    // Its URL may be signed.
    watch: Object.keys(row.watch).length === 0 ? null : masked(row.watch).shown,
    last_fired_at: jsonTime(row.lastFiredAt),
    last_job_id: row.lastJobId ?? 0,
    last_error: row.lastError ?? '',
    user_id: row.userId ?? 0,
  };
}
