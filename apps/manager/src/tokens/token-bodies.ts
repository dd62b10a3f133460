import type { PersonalAccessTokenEntity, UserEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import type { VerifiedToken } from '../auth/access-token-verifier.js';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { base, type BaseBody, baseFields, time } from '../rest/shared-bodies.js';
import { userBody, UserBody } from '../users/user-bodies.js';

export interface PersonalAccessTokenBody extends BaseBody {
  name: string;
  bio: string;
  /** In the answer that makes it; empty ever after. */
  token: string;
  scopes: string[];
  state: string;
  expired_at: string;
  user_id: number;
  user: UserBody;
  /** What it is limited to besides its owner; null = not limited. */
  scheduler_cluster_ids: number[] | null;
  applications: string[] | null;
}

export const PersonalAccessTokenBody: z.ZodType<PersonalAccessTokenBody> = bodyType(
  'PersonalAccessToken',
  z.object({
    ...baseFields,
    name: z.string(),
    bio: z.string(),
    token: z.string(),
    scopes: z.array(z.string()),
    state: z.string(),
    expired_at: time(),
    user_id: z.int(),
    user: UserBody,
    scheduler_cluster_ids: z.array(z.int()).nullable(),
    applications: z.array(z.string()).nullable(),
  }),
);

export function tokenBody(
  row: PersonalAccessTokenEntity,
  owner: UserEntity | undefined,
  limits: VerifiedToken['limits'],
  clear = '',
): PersonalAccessTokenBody {
  return {
    ...base(row),
    name: row.name,
    bio: row.bio ?? '',
    token: clear,
    scopes: row.scopes,
    state: row.state ?? '',
    expired_at: jsonTime(row.expiredAt),
    user_id: row.userId ?? 0,
    user: userBody(owner),
    scheduler_cluster_ids: limits.clusterIds ? [...limits.clusterIds] : null,
    applications: limits.applications ? [...limits.applications] : null,
  };
}
