import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { DfError } from '@dragonfly/errors';

const SECRET_BYTES = 32;
const TOKEN = /^([0-9a-f]{64})\.([A-Za-z0-9_-]{43})$/;

/**
 * What a machine needs to join: which authority it may trust, and a secret that is good once.
 * Text form: `<sha-256 of the authority's certificate, hex>.<secret, base64url>`.
 */
export interface JoinToken {
  readonly authorityFingerprint: string;
  readonly secret: string;
}

/** With 32 random bytes as the secret. @param authorityPem the certificate that the machine is to trust */
export function createJoinToken(authorityPem: string): JoinToken {
  return {
    authorityFingerprint: fingerprintOf(authorityPem),
    secret: randomBytes(SECRET_BYTES).toString('base64url'),
  };
}

/** The text form; {@link parseJoinToken} reads it. */
export function formatJoinToken(token: JoinToken): string {
  return `${token.authorityFingerprint}.${token.secret}`;
}

/** @throws DfError invalid-argument */
export function parseJoinToken(text: string): JoinToken {
  const [, authorityFingerprint, secret] = TOKEN.exec(text.trim()) ?? [];
  if (authorityFingerprint === undefined || secret === undefined) {
    throw new DfError('invalid-argument', 'joinToken: must be <64 hex digits>.<secret>, as the manager gave it out');
  }
  return { authorityFingerprint, secret };
}

/** What is kept of a token's secret. */
export function hashOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** SHA-256 of the certificate, lower case hex. */
export function fingerprintOf(certificate: string | Uint8Array): string {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
}
