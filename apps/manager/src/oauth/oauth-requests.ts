import { z } from 'zod';
import { pageFields } from '../rest/pagination.js';
import { optionalList, optionalText, requestType, requiredText } from '../rest/rest-schema.js';
import { WORD_LIST } from '../rest/list-bounds.js';
import { isLoopback } from './loopback.js';

const BIO = { max: 1024 };
/** Names of providers stand in paths. */
const NAME = { max: 32, pattern: { regex: /^[a-z0-9][a-z0-9-]*$/, tag: 'oneof' } };
const URL_TEXT = { format: 'url', max: 1024 } as const;
/** Plain HTTP is for providers on this machine only. */
const isUsableIssuer = (issuer: string): boolean => /^https:/i.test(issuer) || isLoopback(issuer);
/** Of an OpenID provider, for every name but github and google. */
const openId = {
  issuer: optionalText({ ...URL_TEXT, check: { isGood: isUsableIssuer, tag: 'https_url' } }),
  scopes: optionalList(z.string().min(1).max(64), WORD_LIST),
};

export const CreateOauthRequest = requestType(
  'CreateOauthRequest',
  z.object({
    name: requiredText(NAME),
    bio: optionalText(BIO),
    client_id: requiredText({ max: 256 }),
    client_secret: requiredText({ max: 1024 }),
    redirect_url: optionalText(URL_TEXT),
    ...openId,
  }),
);
export type CreateOauthRequest = z.output<typeof CreateOauthRequest.schema>;

export const UpdateOauthRequest = requestType(
  'UpdateOauthRequest',
  z.object({
    name: optionalText(NAME),
    bio: optionalText(BIO),
    client_id: optionalText({ max: 256 }),
    client_secret: optionalText({ max: 1024 }),
    redirect_url: optionalText(URL_TEXT),
    ...openId,
  }),
);
export type UpdateOauthRequest = z.output<typeof UpdateOauthRequest.schema>;

export const GetOauthsQuery = requestType(
  'GetOauthsQuery',
  z.object({ ...pageFields, name: optionalText(NAME), client_id: optionalText() }),
);
export type GetOauthsQuery = z.output<typeof GetOauthsQuery.schema>;

export const OauthSigninCallbackQuery = requestType(
  'OauthSigninCallbackQuery',
  z.object({
    code: optionalText({ max: 4096 }),
    state: optionalText({ max: 256 }),
    error: optionalText({ max: 256 }),
  }),
);
export type OauthSigninCallbackQuery = z.output<typeof OauthSigninCallbackQuery.schema>;
