import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { experimental } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import type { RpcLog } from './log.js';

type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/** Pause between two looks at the files. */
export const CERTIFICATE_CHECK_INTERVAL_MS = 5_000;

/** Places of PEM files. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** What the files held when they were last good. */
export interface CertificateSet {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/**
 * Certificates in files that may be replaced at any time: connections made afterwards use the new ones, those that stand go
 * on. Files that do not fit together (a replacement under way) are left until they do; what was good stays in use.
 */
export class LiveCertificates implements experimental.CertificateProvider {
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;
  #complaint = '';

  private constructor(
    private readonly files: CertificateFiles,
    private readonly log: RpcLog,
    private set: CertificateSet,
    private stamp: string,
  ) {}

  /** @throws DfError invalid-argument naming the file that cannot be read, or what does not fit */
  static async load(files: CertificateFiles, log: RpcLog): Promise<LiveCertificates> {
    const stamp = await stampOf(files);
    return new LiveCertificates(files, log, await readSet(files), stamp);
  }

  get current(): CertificateSet {
    return this.set;
  }

  /** Looks at the files now. Never fails: bad files are complained about and left. */
  async check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      const stamp = await stampOf(this.files);
      if (stamp !== this.stamp) {
        this.set = await readSet(this.files);
        this.stamp = stamp;
        this.#complaint = '';
        this.log.info({ file: this.files.certificateFile }, 'certificates have been replaced');
        for (const listener of this.#caListeners) listener({ caCertificate: this.set.ca });
        for (const listener of this.#identityListeners) listener(this.#identity());
      }
    } catch (error) {
      const reason = DfError.from(error).message;
      // Once for each reason: the files stay as they are until somebody mends them.
      if (reason !== this.#complaint) this.log.warn({ reason }, 'new certificates cannot be used, the old ones stay');
      this.#complaint = reason;
    } finally {
      this.#isChecking = false;
    }
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    this.#watch();
    // grpc-js wants to be told in a later turn: it is still adding itself.
    queueMicrotask(() => {
      if (this.#caListeners.has(listener)) listener({ caCertificate: this.set.ca });
    });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
    this.#restWhenAlone();
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    this.#watch();
    queueMicrotask(() => {
      if (this.#identityListeners.has(listener)) listener(this.#identity());
    });
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
    this.#restWhenAlone();
  }

  #identity(): experimental.IdentityCertificateUpdate {
    return { certificate: this.set.certificate, privateKey: this.set.key };
  }

  #watch(): void {
    this.#timer ??= setInterval(() => void this.check(), CERTIFICATE_CHECK_INTERVAL_MS).unref();
  }

  #restWhenAlone(): void {
    if (this.#caListeners.size + this.#identityListeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Changes when a file is replaced or written. */
async function stampOf(files: CertificateFiles): Promise<string> {
  const stats = await Promise.all(Object.values(files).map((file: string) => ofFile(file, stat(file))));
  return stats.map(({ ino, mtimeMs, size }) => `${ino}.${mtimeMs}.${size}`).join(' ');
}

async function readSet({ certificateFile, keyFile, caFile }: CertificateFiles): Promise<CertificateSet> {
  const [certificate, key, ca] = await Promise.all(
    [certificateFile, keyFile, caFile].map((file) => ofFile(file, readFile(file))),
  );
  if (certificate === undefined || key === undefined || ca === undefined) throw new DfError('internal', 'no files');
  parse(caFile, () => new X509Certificate(ca));
  const leaf = parse(certificateFile, () => new X509Certificate(certificate));
  const privateKey = parse(keyFile, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new DfError('invalid-argument', `${keyFile} is not the key of ${certificateFile}`);
  }
  return { certificate, key, ca };
}

async function ofFile<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new DfError('invalid-argument', `cannot read ${file}: ${DfError.from(error).message}`, { cause: error });
  }
}

function parse<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new DfError('invalid-argument', `${file}: is not in PEM form`, { cause: error });
  }
}
