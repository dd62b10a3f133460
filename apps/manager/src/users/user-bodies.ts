import type { UserEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { base, type BaseBody, baseFields, ZERO_BASE } from '../rest/shared-bodies.js';

/** An account without anything secret. */
export interface UserBody extends BaseBody {
  email: string;
  name: string;
  avatar: string;
  phone: string;
  state: string;
  location: string;
  bio: string;
  configs: null;
}

export const UserBody: z.ZodType<UserBody> = bodyType(
  'User',
  z.object({
    ...baseFields,
    email: z.string(),
    name: z.string(),
    avatar: z.string(),
    phone: z.string(),
    state: z.string(),
    location: z.string(),
    bio: z.string(),
    configs: z.null(),
  }),
);

/** Where a resource's account is not loaded, or there is none. */
export const ZERO_USER: UserBody = {
  ...ZERO_BASE,
  email: '',
  name: '',
  avatar: '',
  phone: '',
  state: '',
  location: '',
  bio: '',
  configs: null,
};

export function userBody(row: UserEntity | undefined): UserBody {
  return row
    ? {
        ...base(row),
        email: row.email,
        name: row.name,
        avatar: row.avatar ?? '',
        phone: row.phone ?? '',
        state: row.state ?? '',
        location: row.location ?? '',
        bio: row.bio ?? '',
        configs: null,
      }
    : ZERO_USER;
}
