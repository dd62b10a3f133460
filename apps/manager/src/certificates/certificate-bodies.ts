import type { CertificateAuthorityEntity, CertificateEntity, JoinTokenEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';

/** JSON bodies about certificates. Keys and secrets are in none of them, but for a new token's text. */
const made = { id: z.int(), created_at: z.string() };

export const JoinTokenBody = bodyType(
  'JoinToken',
  z.object({
    ...made,
    bio: z.string(),
    names: z.array(z.string()),
    expires_at: z.string(),
    used_at: z.string().describe('zero time while unused'),
    serial: z.string().describe('of the certificate it was used for'),
    token: z.string().optional().describe('only in the answer that made it'),
  }),
);
export type JoinTokenBody = z.output<typeof JoinTokenBody>;

export const CertificateBody = bodyType(
  'Certificate',
  z.object({
    ...made,
    serial: z.string(),
    common_name: z.string(),
    names: z.array(z.string()),
    authority_fingerprint: z.string(),
    expires_at: z.string(),
    revoked_at: z.string().describe('zero time while good'),
  }),
);
export type CertificateBody = z.output<typeof CertificateBody>;

export const AuthorityBody = bodyType(
  'CertificateAuthority',
  z.object({
    ...made,
    fingerprint: z.string(),
    certificate: z.string().describe('PEM'),
    signs_from: z.string(),
    expires_at: z.string(),
  }),
);
export type AuthorityBody = z.output<typeof AuthorityBody>;

export function joinTokenBody(row: JoinTokenEntity, token?: string): JoinTokenBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    bio: row.bio ?? '',
    names: row.names,
    expires_at: jsonTime(row.expiresAt),
    used_at: jsonTime(row.usedAt),
    serial: row.serial ?? '',
    ...(token === undefined ? {} : { token }),
  };
}

export function certificateBody(row: CertificateEntity): CertificateBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    serial: row.serial,
    common_name: row.commonName,
    names: row.names,
    authority_fingerprint: row.authorityFingerprint,
    expires_at: jsonTime(row.expiresAt),
    revoked_at: jsonTime(row.revokedAt),
  };
}

export function authorityBody(row: CertificateAuthorityEntity): AuthorityBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    fingerprint: row.fingerprint,
    certificate: row.certificate,
    signs_from: jsonTime(row.signsFrom),
    expires_at: jsonTime(row.expiresAt),
  };
}
