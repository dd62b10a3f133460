/** Rows of our own tables about certificates. */
import { Resource } from './entities.js';

/** An authority of the cluster. All that have not expired are trusted; the newest one in force signs. */
export class CertificateAuthorityEntity extends Resource {
  /** SHA-256 of the certificate, hex. */
  fingerprint: string;
  certificate: string;
  /** Sealed; null for an authority that only is to be trusted. */
  sealedKey: string | null;
  /** Until then it is trusted but does not sign: everybody is to know it first. */
  signsFrom: Date | null;
  expiresAt: Date | null;
}

/** A certificate that was given out. */
export class CertificateEntity extends Resource {
  /** Lower case hex. */
  serial: string;
  commonName: string;
  names: string[];
  authorityFingerprint: string;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** A token to join with, good once. */
export class JoinTokenEntity extends Resource {
  /** SHA-256 of the secret, hex. */
  secretHash: string;
  bio: string | null;
  /** The names a certificate may have; empty: any but those of the manager. */
  names: string[];
  expiresAt: Date | null;
  usedAt: Date | null;
  /** Serial of the certificate it was used for. */
  serial: string | null;
  userId: number | null;
}
