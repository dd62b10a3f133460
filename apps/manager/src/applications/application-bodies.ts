import type { ApplicationEntity, UserEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { base, type BaseBody, baseFields, json } from '../rest/shared-bodies.js';
import { userBody, UserBody } from '../users/user-bodies.js';

export interface ApplicationBody extends BaseBody {
  name: string;
  url: string;
  bio: string;
  /** `{value, urls: [{regex, value}]}`. */
  priority: Record<string, unknown>;
  user_id: number;
  user: UserBody;
}

export const ApplicationBody: z.ZodType<ApplicationBody> = bodyType(
  'Application',
  z.object({
    ...baseFields,
    name: z.string(),
    url: z.string(),
    bio: z.string(),
    priority: json(),
    user_id: z.int(),
    user: UserBody,
  }),
);

/** @param owner undefined when there is none, or it is not loaded */
export function applicationBody(row: ApplicationEntity, owner: UserEntity | undefined): ApplicationBody {
  return {
    ...base(row),
    name: row.name,
    url: row.url,
    bio: row.bio ?? '',
    priority: row.priority,
    user_id: row.userId ?? 0,
    user: userBody(owner),
  };
}
