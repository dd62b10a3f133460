/**
 * Certificates of a cluster: authorities, requests, issuing, join tokens, and how their secrets are kept.
 * @packageDocumentation
 */
export {
  certificatesOfPem,
  createAuthority,
  createRequest,
  DEFAULT_AUTHORITY_VALIDITY_MS,
  type IssuedCertificate,
  type KeyedCertificate,
  MAX_NAMES,
  pemOfCertificate,
  signRequest,
  type Subject,
} from './authority.js';
export {
  createJoinToken,
  fingerprintOf,
  formatJoinToken,
  hashOfSecret,
  type JoinToken,
  parseJoinToken,
} from './join-token.js';
