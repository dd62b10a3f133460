import type { CertificateAuthorityEntity, CertificateEntity, JoinTokenEntity } from '@dragonfly/persistence';
import { jsonTime } from '../rest/json-time.js';

/** JSON bodies about certificates. Keys and secrets are in none of them, but for a new token's text. */
export interface JoinTokenBody {
  id: number;
  created_at: string;
  bio: string;
  names: string[];
  expires_at: string;
  /** Zero time while unused. */
  used_at: string;
  /** Of the certificate it was used for. */
  serial: string;
  /** Only in the answer that made it. */
  token?: string;
}

export interface CertificateBody {
  id: number;
  created_at: string;
  serial: string;
  common_name: string;
  names: string[];
  authority_fingerprint: string;
  expires_at: string;
  revoked_at: string;
}

export interface AuthorityBody {
  id: number;
  created_at: string;
  fingerprint: string;
  certificate: string;
  signs_from: string;
  expires_at: string;
}

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
