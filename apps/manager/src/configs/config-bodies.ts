import type { ConfigEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { base, type BaseBody, baseFields } from '../rest/shared-bodies.js';
import { UserBody, ZERO_USER } from '../users/user-bodies.js';

export interface ConfigBody extends BaseBody {
  name: string;
  value: string;
  bio: string;
  user_id: number;
  user: UserBody;
}

export const ConfigBody: z.ZodType<ConfigBody> = bodyType(
  'Config',
  z.object({
    ...baseFields,
    name: z.string(),
    value: z.string(),
    bio: z.string(),
    user_id: z.int(),
    user: UserBody,
  }),
);

/** The account is never loaded, as in the original. */
export function configBody(row: ConfigEntity): ConfigBody {
  return {
    ...base(row),
    name: row.name,
    value: row.value,
    bio: row.bio ?? '',
    user_id: row.userId ?? 0,
    user: ZERO_USER,
  };
}
