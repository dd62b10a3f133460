import { isIPv6 } from 'node:net';
import {
  createJoinToken,
  formatJoinToken,
  hashOfSecret,
  type IssuedCertificate,
  parseJoinToken,
  signRequest,
} from '@dragonfly/certificates';
import { DfError } from '@dragonfly/errors';
import { CertificateEntity, type Database, insertRow, JoinTokenEntity, updateRow } from '@dragonfly/persistence';
import { IsNull, MoreThan, Not } from 'typeorm';
import type { Clock } from '../clock.js';
import type { News } from '../notify/news.js';
import type { Authorities } from './authorities.js';

/** Longest life of a certificate, whatever is asked for. */
export const MAX_VALIDITY_MS = 90 * 86_400_000;
const MIN_VALIDITY_MS = 60_000;
/** Most revoked certificates that everybody is told of; beyond that a new authority is the way. */
export const MAX_REVOKED = 10_000;

/** Who asks for a certificate. */
export type Claim =
  | { readonly kind: 'token'; readonly token: string }
  /** Serial of the client certificate that the connection was made with, lower case hex. */
  | { readonly kind: 'certificate'; readonly serial: string };

export interface CertificatesOptions {
  readonly validityMs: number;
  /** Names of the managers: nobody else gets a certificate with one of these. */
  readonly ownNames: readonly string[];
}

export interface JoinTokenRequest {
  readonly names: readonly string[];
  readonly ttlMs: number;
  readonly bio: string;
}

/** Gives certificates out and takes them back. */
export class CertificatesService {
  #revoked: ReadonlySet<string> = new Set();

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly authorities: Authorities,
    private readonly news: News,
    private readonly options: CertificatesOptions,
  ) {}

  /** Whether a certificate was revoked, as of the last `refreshRevoked`. */
  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  async refreshRevoked(): Promise<ReadonlySet<string>> {
    const rows = await this.database.manager.find(CertificateEntity, {
      select: { serial: true },
      where: { isDel: 0, revokedAt: Not(IsNull()), expiresAt: MoreThan(this.clock.now()) },
      order: { id: 'DESC' },
      take: MAX_REVOKED,
    });
    this.#revoked = new Set(rows.map(({ serial }) => serial));
    return this.#revoked;
  }

  /**
   * Signs a request. A token is used up by it; with a certificate the names must be those it has.
   * @throws DfError invalid-argument (the request), unauthenticated (the claim), permission-denied (the names)
   */
  async issue(csrDer: Uint8Array, claim: Claim, validityMs?: number): Promise<IssuedCertificate> {
    const authority = await this.authorities.signing();
    const wanted = validityMs === undefined || validityMs === 0 ? this.options.validityMs : validityMs;
    const issued = await signRequest(
      authority,
      csrDer,
      Math.min(MAX_VALIDITY_MS, Math.max(MIN_VALIDITY_MS, wanted)),
      this.clock.now(),
    );
    const now = this.clock.now();
    await this.database.transaction(async (manager) => {
      if (claim.kind === 'token') {
        // Used up in the transaction that records the certificate: of two uses at the same time one finds it used.
        const { secret } = parseToken(claim.token);
        const row = await manager.findOneBy(JoinTokenEntity, { secretHash: hashOfSecret(secret), isDel: 0 });
        if (!row || row.usedAt !== null || row.expiresAt === null || row.expiresAt <= now) {
          throw new DfError('unauthenticated', 'the join token is unknown, used or expired');
        }
        checkNames(issued.subject.names, row.names.length > 0 ? row.names : undefined, this.options.ownNames);
        const { affected } = await manager.update(
          JoinTokenEntity,
          { id: row.id, usedAt: IsNull() },
          { usedAt: now, serial: issued.serial, updatedAt: now },
        );
        if (affected !== 1) throw new DfError('unauthenticated', 'the join token is unknown, used or expired');
      } else {
        const row = await manager.findOneBy(CertificateEntity, { serial: claim.serial, isDel: 0 });
        if (!row || row.revokedAt !== null || row.expiresAt === null || row.expiresAt <= now) {
          throw new DfError('unauthenticated', 'the certificate of the connection is unknown, revoked or expired');
        }
        checkNames(issued.subject.names, row.names, []);
      }
      await this.record(manager, issued, authority.fingerprint);
    });
    return issued;
  }

  /** A certificate of the manager's own. */
  async issueOwn(csrDer: Uint8Array): Promise<IssuedCertificate> {
    const authority = await this.authorities.signing();
    const issued = await signRequest(authority, csrDer, this.options.validityMs, this.clock.now());
    await this.database.transaction((manager) => this.record(manager, issued, authority.fingerprint));
    return issued;
  }

  /** @returns the token's text, which is not kept */
  async createToken(request: JoinTokenRequest): Promise<{ row: JoinTokenEntity; token: string }> {
    const token = createJoinToken((await this.authorities.signing()).certificatePem);
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, JoinTokenEntity, now, {
        secretHash: hashOfSecret(token.secret),
        bio: request.bio,
        names: [...request.names],
        expiresAt: new Date(now.getTime() + request.ttlMs),
        usedAt: null,
        serial: null,
        userId: null,
      });
      return manager.findOneByOrFail(JoinTokenEntity, { id });
    });
    return { row, token: formatJoinToken(token) };
  }

  /** @throws DfError not-found */
  async deleteToken(id: number): Promise<void> {
    const { affected } = await this.database.transaction((manager) => manager.delete(JoinTokenEntity, { id }));
    if (!affected) throw new DfError('not-found', 'record not found');
  }

  /** Takes a certificate back; every server refuses it as soon as it has heard of it. @throws DfError not-found */
  async revoke(id: number): Promise<void> {
    const now = this.clock.now();
    const isThere = await this.database.transaction((manager) =>
      updateRow(manager, CertificateEntity, now, id, { revokedAt: now }),
    );
    if (!isThere) throw new DfError('not-found', 'record not found');
    await this.refreshRevoked();
    await this.news.publish('certificates');
  }

  private async record(
    manager: Parameters<typeof insertRow>[0],
    issued: IssuedCertificate,
    authorityFingerprint: string,
  ): Promise<void> {
    await insertRow(manager, CertificateEntity, this.clock.now(), {
      serial: issued.serial,
      commonName: issued.subject.commonName,
      names: [...issued.subject.names],
      authorityFingerprint,
      expiresAt: issued.expiresAt,
      revokedAt: null,
    });
  }
}

function parseToken(text: string): { secret: string } {
  try {
    return parseJoinToken(text);
  } catch (error) {
    throw new DfError('unauthenticated', 'the join token is malformed', { cause: error });
  }
}

function checkNames(
  names: readonly string[],
  allowed: readonly string[] | undefined,
  reserved: readonly string[],
): void {
  const isAllowed = (name: string): boolean => (allowed ? includesName(allowed, name) : !includesName(reserved, name));
  const refused = names.find((name) => !isAllowed(name));
  if (refused !== undefined) {
    throw new DfError('permission-denied', `csr: the name "${refused}" is not allowed for this caller`);
  }
}

function includesName(names: Iterable<string>, wanted: string): boolean {
  const canonical = canonicalName(wanted);
  return [...names].some((name) => canonicalName(name) === canonical);
}

/** As whoever checks a certificate compares them: host names without regard to case, addresses by their value. */
function canonicalName(name: string): string {
  return (isIPv6(name) ? URL.parse(`http://[${name}]/`)?.hostname : undefined) ?? name.toLowerCase();
}
