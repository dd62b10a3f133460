import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createRequest, fingerprintOf, parseJoinToken, pemOfCertificate, type Subject } from '@dragonfly/certificates';
import { DfError } from '@dragonfly/errors';
import { extCertificates } from '@dragonfly/proto';
import {
  type CertificateFiles,
  type ClientTls,
  closeRevokedConnections,
  createGrpcClient,
  LiveCertificates,
  type LiveServerTls,
  unary,
} from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { join } from './join.js';

const CALL_DEADLINE_MS = 20_000;
/** Pause between two looks at what is trusted and what is to be renewed; news of the manager make it shorter. */
const UPKEEP_INTERVAL_MS = 60_000;
/** Pauses between tries to join. */
const JOIN_RETRY_FIRST_MS = 500;
const JOIN_RETRY_LONGEST_MS = 15_000;
/** Within this time all services of a cluster change over to an authority that has begun to sign. */
const CHANGE_OVER_SPREAD_MS = 10_000;

export interface CertificateKeeperOptions {
  /** Where key and certificates are kept; made with mode 0700. */
  readonly directory: string;
  readonly subject: Subject;
  /** `host:port` of the manager's gRPC port. */
  readonly managerAddress: string;
  /** `host:port` of its join port. */
  readonly joinAddress: string;
  /** Needed when the directory holds no certificate that is still good. */
  readonly joinToken: string;
  readonly log: Logger;
}

/**
 * Sees to it that this service has a certificate of the cluster's authority: joins with a token when it has none, renews it
 * after two thirds of its life, learns of new authorities and of what was revoked.
 */
export class CertificateKeeper {
  #revoked: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** There was reason to look again while it looked. */
  #isStale = false;
  #undoCutting: (() => void) | undefined;
  #changeOver: NodeJS.Timeout | undefined;
  #isChangeOverDue = false;
  readonly #stopped = new AbortController();

  private constructor(
    private readonly options: CertificateKeeperOptions,
    private readonly live: LiveCertificates,
    private readonly client: extCertificates.CertificateServiceClient,
  ) {}

  /**
   * Returns with a certificate that is good. Waits for a manager that does not answer yet.
   * @throws DfError invalid-argument without a token where one is needed; unauthenticated when the token is refused;
   * cancelled
   */
  static async start(options: CertificateKeeperOptions, signal: AbortSignal): Promise<CertificateKeeper> {
    const files = filesIn(options.directory);
    if (!(await isUsable(files))) await joinUntilDone(options, files, signal);
    const live = await LiveCertificates.load(files, options.log);
    const client = createGrpcClient(extCertificates.CertificateServiceClient, options.managerAddress, {
      tls: { live },
    });
    const keeper = new CertificateKeeper(options, live, client);
    keeper.#timer = setInterval(() => void keeper.refresh(), UPKEEP_INTERVAL_MS).unref();
    // Servers see to the connections that they have accepted themselves.
    keeper.#undoCutting = closeRevokedConnections('client', keeper.#isRevoked);
    await keeper.refresh();
    return keeper;
  }

  get clientTls(): ClientTls {
    return { live: this.live, isRevoked: this.#isRevoked };
  }

  get serverTls(): LiveServerTls {
    return { live: this.live, isRevoked: this.#isRevoked };
  }

  /**
   * Learns what is trusted and revoked, and renews what is due. Never fails. A call during another one shares its run, which
   * then looks once more: what it has been told may be older than the call.
   */
  refresh(): Promise<void> {
    this.#isStale = true;
    this.#running ??= this.#refreshWhileStale().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#changeOver);
    this.#undoCutting?.();
    this.#stopped.abort();
    await this.#running;
    this.client.close();
  }

  readonly #isRevoked = (serial: string): boolean => this.#revoked.has(serial);

  async #refreshWhileStale(): Promise<void> {
    while (this.#isStale && !this.#stopped.signal.aborted) {
      this.#isStale = false;
      await this.#refresh();
    }
  }

  async #refresh(): Promise<void> {
    const { log, directory } = this.options;
    const { signal } = this.#stopped;
    try {
      const trust = await unary<extCertificates.GetTrustRequest, extCertificates.GetTrustResponse>(
        this.client.getTrust.bind(this.client),
        {},
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
      this.#revoked = new Set(trust.revokedSerials);
      await writeWhenChanged(filesIn(directory).caFile, trust.authorities.map(pemOfCertificate).join(''));
      const certificate = new X509Certificate(this.live.current.certificate);
      const isOfAnother = !isSignedBy(certificate, trust);
      if (Date.now() >= renewalTimeMs(certificate) || (isOfAnother && this.#isChangeOverDue)) {
        await this.#renew(signal);
        this.#isChangeOverDue = false;
      } else if (isOfAnother) {
        this.#changeOverSoon();
      }
      await this.live.check();
    } catch (error) {
      if (!signal.aborted) log.warn({ reason: DfError.from(error).message }, 'cannot refresh the certificates');
    }
  }

  /** Not at once: the whole cluster has heard of it in the same moment. */
  #changeOverSoon(): void {
    this.#changeOver ??= setTimeout(() => {
      this.#changeOver = undefined;
      this.#isChangeOverDue = true;
      void this.refresh();
    }, Math.random() * CHANGE_OVER_SPREAD_MS).unref();
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { csrDer, privateKeyPem } = await createRequest(this.options.subject);
    const issued = await unary<extCertificates.IssueCertificateRequest, extCertificates.IssueCertificateResponse>(
      this.client.issueCertificate.bind(this.client),
      { csr: csrDer, joinToken: '', validity: undefined },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
    await writeIssued(filesIn(this.options.directory), privateKeyPem, issued);
    this.options.log.info({ expiresAt: issued.expiresAt }, 'the certificate has been renewed');
  }
}

function filesIn(directory: string): CertificateFiles {
  return {
    certificateFile: path.join(directory, 'tls.crt'),
    keyFile: path.join(directory, 'tls.key'),
    caFile: path.join(directory, 'ca.crt'),
  };
}

/** Two thirds of the way from the beginning to the end of a certificate. */
function renewalTimeMs({ validFrom, validTo }: X509Certificate): number {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return from + ((to - from) * 2) / 3;
}

/** Whether the authority that signs now has signed this; of a manager that does not name it, yes. */
function isSignedBy(certificate: X509Certificate, trust: extCertificates.GetTrustResponse): boolean {
  const signing = trust.authorities.find((der) => fingerprintOf(der) === trust.signingFingerprint);
  return signing === undefined || certificate.verify(new X509Certificate(signing).publicKey);
}

async function isUsable(files: CertificateFiles): Promise<boolean> {
  try {
    return Date.parse(new X509Certificate(await readFile(files.certificateFile)).validTo) > Date.now();
  } catch {
    return false; // Not there, or half written: joining makes all of it anew.
  }
}

async function joinUntilDone(
  options: CertificateKeeperOptions,
  files: CertificateFiles,
  signal: AbortSignal,
): Promise<void> {
  const { joinToken, joinAddress, subject, log } = options;
  if (joinToken === '') {
    throw new DfError(
      'invalid-argument',
      `security.joinToken: is needed, ${options.directory} holds no certificate that is still good`,
    );
  }
  const token = parseJoinToken(joinToken);
  for (let failures = 0; ; failures += 1) {
    try {
      const { csrDer, privateKeyPem } = await createRequest(subject);
      await writeIssued(files, privateKeyPem, await join(joinAddress, token, csrDer, signal));
      log.info({ names: subject.names }, 'joined the cluster, a certificate has been given out');
      return;
    } catch (caught) {
      const error = DfError.from(caught);
      if (signal.aborted || error.code !== 'unavailable') throw error;
      log.warn({ joinAddress, reason: error.message }, 'cannot join yet');
      const pauseMs = Math.min(JOIN_RETRY_LONGEST_MS, JOIN_RETRY_FIRST_MS * 2 ** Math.min(failures, 10));
      await delay(pauseMs, undefined, { signal });
    }
  }
}

/** The certificate comes last: files that do not fit together are left alone by whoever watches them. */
async function writeIssued(
  files: CertificateFiles,
  privateKeyPem: string,
  issued: extCertificates.IssueCertificateResponse,
): Promise<void> {
  await writeWhenChanged(files.caFile, issued.authorities.map(pemOfCertificate).join(''));
  await writeWhenChanged(files.keyFile, privateKeyPem);
  await writeWhenChanged(files.certificateFile, issued.certificateChain.map(pemOfCertificate).join(''));
}

async function writeWhenChanged(file: string, text: string): Promise<void> {
  const present = await readFile(file, 'utf8').catch(() => undefined); // absent: to be written
  if (present === text) return;
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.new`;
  await writeFile(draft, text, { mode: 0o600, flush: true });
  await rename(draft, file);
}
