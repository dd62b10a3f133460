import type { TenantEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { base, type BaseBody, baseFields, json } from '../rest/shared-bodies.js';

export interface TenantBody extends BaseBody {
  name: string;
  bio: string;
  state: string;
  scheduler_cluster_ids: number[];
  /** `*` = every application. */
  applications: string[];
  limits: Record<string, unknown>;
  /** Members. */
  user_ids: number[];
}

export const TenantBody: z.ZodType<TenantBody> = bodyType(
  'Tenant',
  z.object({
    ...baseFields,
    name: z.string(),
    bio: z.string(),
    state: z.enum(['enable', 'disable']),
    scheduler_cluster_ids: z.array(z.int()),
    applications: z.array(z.string()),
    limits: json(),
    user_ids: z.array(z.int()),
  }),
);

export function tenantBody(row: TenantEntity, userIds: readonly number[]): TenantBody {
  return {
    ...base(row),
    name: row.name,
    bio: row.bio ?? '',
    state: row.state,
    scheduler_cluster_ids: row.schedulerClusterIds,
    applications: row.applications,
    limits: row.limits,
    user_ids: [...userIds],
  };
}
