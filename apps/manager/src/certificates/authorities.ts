import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import {
  createAuthority,
  DEFAULT_AUTHORITY_VALIDITY_MS,
  fingerprintOf,
  type KeyedCertificate,
} from '@dragonfly/certificates';
import { seal, unseal } from '@dragonfly/certificates/sealing';
import { DfError } from '@dragonfly/errors';
import { CertificateAuthorityEntity, type Database, insertRow } from '@dragonfly/persistence';
import type { Clock } from '../clock.js';
import { stateConflict } from '../rest/request-decorators.js';

const COMMON_NAME = 'dragonfly cluster authority';
/** What keys of authorities are sealed for. */
const PURPOSE = 'certificate authority';

export interface AuthorityOptions {
  /** Files of an authority of the operator's; absent: one is made at the first start. */
  readonly given?: { readonly cert: string; readonly key: string };
  /** What keys are sealed with; the same for all managers of a database. */
  readonly sealingKey: Uint8Array;
  /** How long a new authority is trusted before it signs, in ms. */
  readonly overlapMs: number;
}

/** The authority that signs now, with its key. */
export interface SigningAuthority extends KeyedCertificate {
  readonly fingerprint: string;
}

/** The authorities of the cluster, in the database; keys are sealed. */
export class Authorities {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly options: AuthorityOptions,
  ) {}

  /**
   * Sees to it that there is an authority: the one of the files, or one that is made now. Managers that start together
   * make one between them.
   * @throws DfError failed-precondition when its key does not open with the configured sealing key
   */
  async ensure(): Promise<void> {
    const given = this.options.given && readGiven(this.options.given);
    await this.database.exclusively(async () => {
      const rows = await this.rows();
      if (given) {
        if (!rows.some(({ fingerprint }) => fingerprint === fingerprintOf(given.certificatePem))) {
          await this.add(given, rows.length === 0 ? 0 : this.options.overlapMs);
        }
      } else if (!rows.some(({ sealedKey }) => sealedKey !== null)) {
        await this.add(await createAuthority(COMMON_NAME, DEFAULT_AUTHORITY_VALIDITY_MS, this.clock.now()), 0);
      }
    });
    await this.signing();
  }

  /** Makes a new authority, which signs after the overlap; the old ones stay trusted until they expire. */
  async rotate(): Promise<CertificateAuthorityEntity> {
    const made = await createAuthority(COMMON_NAME, DEFAULT_AUTHORITY_VALIDITY_MS, this.clock.now());
    return this.add(made, this.options.overlapMs);
  }

  /** Takes the trust from an authority: certificates of it are good for nothing any more. */
  async distrust(id: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      const rows = await manager.findBy(CertificateAuthorityEntity, { isDel: 0 });
      const row = rows.find((one) => one.id === id);
      if (!row) throw new DfError('not-found', 'record not found');
      if (row.fingerprint === this.newestOf(rows)?.fingerprint) {
        throw stateConflict('this authority signs: make another one first, and let it come into force');
      }
      await manager.delete(CertificateAuthorityEntity, { id });
    });
  }

  /** Every authority that is to be trusted, the oldest first. */
  async trusted(): Promise<CertificateAuthorityEntity[]> {
    const now = this.clock.now();
    return (await this.rows()).filter(({ expiresAt }) => expiresAt !== null && expiresAt > now);
  }

  /** @throws DfError failed-precondition when there is none, or its key does not open */
  async signing(): Promise<SigningAuthority> {
    const row = this.newestOf(await this.trusted());
    if (!row?.sealedKey) throw new DfError('failed-precondition', 'there is no authority in force');
    const privateKeyPem = unseal(row.sealedKey, this.options.sealingKey, PURPOSE);
    return { certificatePem: row.certificate, privateKeyPem, fingerprint: row.fingerprint };
  }

  private newestOf(rows: readonly CertificateAuthorityEntity[]): CertificateAuthorityEntity | undefined {
    const now = this.clock.now();
    return rows.findLast(({ sealedKey, signsFrom }) => sealedKey !== null && signsFrom !== null && signsFrom <= now);
  }

  private rows(): Promise<CertificateAuthorityEntity[]> {
    return this.database.manager.find(CertificateAuthorityEntity, { where: { isDel: 0 }, order: { id: 'ASC' } });
  }

  private async add(made: KeyedCertificate, overlapMs: number): Promise<CertificateAuthorityEntity> {
    const now = this.clock.now();
    const fingerprint = fingerprintOf(made.certificatePem);
    return this.database.transaction(async (manager) => {
      const id = await insertRow(manager, CertificateAuthorityEntity, now, {
        fingerprint,
        certificate: made.certificatePem,
        sealedKey: seal(made.privateKeyPem, this.options.sealingKey, PURPOSE),
        signsFrom: new Date(now.getTime() + overlapMs),
        expiresAt: new Date(new X509Certificate(made.certificatePem).validTo),
      });
      return manager.findOneByOrFail(CertificateAuthorityEntity, { id });
    });
  }
}

/** @throws DfError invalid-argument naming the file and what is wrong */
function readGiven(files: { cert: string; key: string }): KeyedCertificate {
  const read = (key: string, file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new DfError('invalid-argument', `security.ca.${key}: cannot read ${file}: ${DfError.from(error).message}`);
    }
  };
  const certificatePem = read('cert', files.cert);
  const privateKeyPem = read('key', files.key);
  let isAuthority: boolean;
  try {
    isAuthority = new X509Certificate(certificatePem).ca;
  } catch (error) {
    throw new DfError('invalid-argument', `security.ca.cert: ${files.cert} is not in PEM form`, { cause: error });
  }
  if (!isAuthority) {
    throw new DfError('invalid-argument', `security.ca.cert: ${files.cert} is no certificate of an authority`);
  }
  return { certificatePem, privateKeyPem };
}
