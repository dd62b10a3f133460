import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createRequest, MAX_NAMES, pemOfCertificate } from '@dragonfly/certificates';
import { LiveCertificates, type CertificateFiles } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { Authorities } from './authorities.js';
import type { CertificatesService } from './certificates.service.js';

/** Pause between two looks at what is to be renewed, and at the list of revoked certificates. */
const UPKEEP_INTERVAL_MS = 30_000;
/** Longest wait of a timer of Node; what comes later is seen at an upkeep. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The names that clients may know this manager under: what is configured, its host name, its addresses. */
export function ownNames(configured: readonly string[]): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((addressesOfOne) => addressesOfOne ?? [])
    .map(({ address }) => address)
    .filter((address) => !address.startsWith('fe80:'));
  const all = [...configured, 'localhost', '127.0.0.1', hostname(), ...addresses];
  return [...new Set(all)].slice(0, MAX_NAMES);
}

/**
 * The certificate that the manager serves with, in files of its own: signed by itself, renewed after two thirds of its life,
 * and with every authority that is trusted beside it.
 */
export class OwnCertificate {
  #timer: NodeJS.Timeout | undefined;
  /** Runs out when the next authority begins to sign. */
  #changeTimer: NodeJS.Timeout | undefined;
  #renewAt = new Date(0);
  #authorities = '';
  #signedBy = '';
  #isBusy = false;
  #isStale = false;

  private constructor(
    private readonly directory: string,
    private readonly names: readonly string[],
    private readonly authorities: Authorities,
    private readonly certificates: CertificatesService,
    private readonly log: Logger,
    private readonly onChangeOver: () => void,
  ) {}

  static async start(options: {
    readonly directory: string;
    readonly names: readonly string[];
    readonly authorities: Authorities;
    readonly certificates: CertificatesService;
    readonly log: Logger;
    /** Another authority signs from now on. */
    readonly onChangeOver: () => void;
  }): Promise<OwnCertificate> {
    const { directory, names, authorities, certificates, log, onChangeOver } = options;
    const own = new OwnCertificate(directory, names, authorities, certificates, log, onChangeOver);
    await own.renewIfDue();
    await certificates.refreshRevoked();
    own.#timer = setInterval(() => void own.upkeep(), UPKEEP_INTERVAL_MS).unref();
    return own;
  }

  get files(): CertificateFiles {
    const file = (name: string): string => join(this.directory, name);
    return { certificateFile: file('tls.crt'), keyFile: file('tls.key'), caFile: file('ca.crt') };
  }

  load(): Promise<LiveCertificates> {
    return LiveCertificates.load(this.files, this.log);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#changeTimer);
  }

  /** Renews what is due and learns what was revoked, also by another manager. Never fails. */
  async upkeep(): Promise<void> {
    // What the upkeep that runs has read may be older than this call.
    this.#isStale = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        await this.renewIfDue();
        await this.certificates.refreshRevoked();
      }
    } catch (error) {
      this.log.warn({ err: error }, 'cannot look after the certificates');
    } finally {
      this.#isBusy = false;
    }
  }

  private async renewIfDue(): Promise<void> {
    const trusted = await this.authorities.trusted();
    this.awaitChangeOver(trusted.map(({ signsFrom }) => signsFrom?.getTime() ?? 0));
    const authorities = trusted.map(({ certificate }) => certificate).join('');
    if (authorities !== this.#authorities) {
      this.write(this.files.caFile, authorities);
      this.#authorities = authorities;
    }
    const authority = await this.authorities.signing();
    // Whoever joins now has a token that names the authority in force.
    if (Date.now() < this.#renewAt.getTime() && authority.fingerprint === this.#signedBy) return;
    const { csrDer, privateKeyPem } = await createRequest({ commonName: 'manager', names: this.names });
    const { certificateDer, expiresAt } = await this.certificates.issueOwn(csrDer);
    this.write(this.files.keyFile, privateKeyPem);
    // With the authority: a machine that joins knows no more of it than its fingerprint.
    this.write(this.files.certificateFile, pemOfCertificate(certificateDer) + authority.certificatePem);
    const isChangeOver = this.#signedBy !== '';
    this.#signedBy = authority.fingerprint;
    this.#renewAt = new Date(Date.now() + ((expiresAt.getTime() - Date.now()) * 2) / 3);
    this.log.info({ names: this.names, expiresAt }, 'the manager has a new certificate');
    if (isChangeOver) this.onChangeOver();
  }

  /** Upkeep is due when an authority begins to sign: everybody is to have a certificate of it soon. */
  private awaitChangeOver(signsFromMs: readonly number[]): void {
    clearTimeout(this.#changeTimer);
    const waitMs = Math.min(...signsFromMs.map((ms) => ms - Date.now()).filter((ms) => ms > 0));
    if (waitMs > MAX_TIMER_MS) return;
    this.#changeTimer = setTimeout(() => void this.upkeep(), waitMs).unref();
  }

  private write(file: string, text: string): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const draft = `${file}.new`;
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    renameSync(draft, file);
  }
}
