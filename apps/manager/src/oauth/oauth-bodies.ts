import type { OauthEntity, OauthProviderEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { base, type BaseBody, baseFields } from '../rest/shared-bodies.js';

/** A provider without its secret. */
export interface OauthBody extends BaseBody {
  name: string;
  bio: string;
  client_id: string;
  redirect_url: string;
  /** Empty for github and google. */
  issuer: string;
  scopes: string[];
}

export const OauthBody: z.ZodType<OauthBody> = bodyType(
  'Oauth',
  z.object({
    ...baseFields,
    name: z.string(),
    bio: z.string(),
    client_id: z.string(),
    redirect_url: z.string(),
    issuer: z.string(),
    scopes: z.array(z.string()),
  }),
);

export function oauthBody(row: OauthEntity, provider: OauthProviderEntity | undefined): OauthBody {
  return {
    ...base(row),
    name: row.name,
    bio: row.bio ?? '',
    client_id: row.clientId,
    redirect_url: row.redirectUrl ?? '',
    issuer: provider?.issuer ?? '',
    scopes: provider?.scopes ?? [],
  };
}
