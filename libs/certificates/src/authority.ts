import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { DfError } from '@dragonfly/errors';

/** Keys are on P-256: short handshakes, and every TLS library knows it. */
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks differ: what is issued now holds a moment ago too. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;
const DAY_MS = 86_400_000;
/** Bytes of a serial number; RFC 5280 allows 20. */
const SERIAL_BYTES = 16;
/** Most names in one certificate. */
export const MAX_NAMES = 32;
/** Longest DNS name, RFC 1035. */
const MAX_NAME_LENGTH = 253;
const DNS_NAME = /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*$/;

/** Ten years: an authority is replaced by hand, with all that trusts it. */
export const DEFAULT_AUTHORITY_VALIDITY_MS = 3_650 * DAY_MS;

/** A certificate and its key, PEM. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Who a certificate is for. */
export interface Subject {
  readonly commonName: string;
  /** DNS names and IP addresses, 1 … MAX_NAMES. */
  readonly names: readonly string[];
}

/** A signed certificate. */
export interface IssuedCertificate {
  readonly certificateDer: Buffer;
  /** Lower case hexadecimal, without leading zeros cut. */
  readonly serial: string;
  readonly subject: Subject;
  readonly expiresAt: Date;
}

/** Makes a self-signed authority. */
export async function createAuthority(
  commonName: string,
  validityMs = DEFAULT_AUTHORITY_VALIDITY_MS,
  now = new Date(),
): Promise<KeyedCertificate> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: freshSerial(),
    name: nameOf(commonName),
    notBefore: new Date(now.getTime() - CLOCK_TOLERANCE_MS),
    notAfter: new Date(now.getTime() + validityMs),
    signingAlgorithm: KEY_ALGORITHM,
    keys: keys,
    extensions: [
      // No further authority below this one.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificatePem: pemOfCertificate(new Uint8Array(certificate.rawData)),
    privateKeyPem: await pemOfKey(keys.privateKey),
  };
}

/** Makes a key and a request for a certificate. */
export async function createRequest(subject: Subject): Promise<{ csrDer: Buffer; privateKeyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(subject.commonName),
    keys: keys,
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [alternativeNames(subject.names)],
  });
  return { csrDer: Buffer.from(request.rawData), privateKeyPem: await pemOfKey(keys.privateKey) };
}

/**
 * Signs a request: a certificate for servers and clients with the names of the request.
 * @throws DfError invalid-argument for a malformed or wrongly signed request, or names that are none
 */
export async function signRequest(
  authority: KeyedCertificate,
  csrDer: Uint8Array,
  validityMs: number,
  now = new Date(),
): Promise<IssuedCertificate> {
  const { request, subject } = await checkedRequest(csrDer);
  const issuer = new x509.X509Certificate(authority.certificatePem);
  // Never longer than the authority itself.
  const expiresAt = new Date(Math.min(now.getTime() + validityMs, issuer.notAfter.getTime()));
  const serial = freshSerial();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: nameOf(subject.commonName),
    issuer: issuer.subject,
    notBefore: new Date(now.getTime() - CLOCK_TOLERANCE_MS),
    notAfter: expiresAt,
    publicKey: request.publicKey,
    signingKey: await privateKeyOf(authority.privateKeyPem),
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      alternativeNames(subject.names),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificateDer: Buffer.from(certificate.rawData), serial, subject, expiresAt };
}

/** Of DER bytes, with a line feed at the end, so that texts can be joined to a chain. */
export function pemOfCertificate(der: Uint8Array): string {
  return `${x509.PemConverter.encode(new Uint8Array(der).buffer, x509.PemConverter.CertificateTag)}\n`;
}

/** Every certificate of a PEM text, DER. @throws DfError invalid-argument for a text that holds none */
export function certificatesOfPem(pem: string): Buffer[] {
  const found = x509.PemConverter.decode(pem).map((der) => Buffer.from(der));
  if (found.length === 0) throw new DfError('invalid-argument', 'holds no certificate in PEM form');
  return found;
}

async function checkedRequest(csrDer: Uint8Array): Promise<ReturnType<typeof parseRequest>> {
  const parsed = parseRequest(csrDer);
  if (!(await parsed.request.verify().catch(() => false))) {
    throw new DfError('invalid-argument', 'csr: is not signed by its own key');
  }
  return parsed;
}

function parseRequest(csrDer: Uint8Array): { request: x509.Pkcs10CertificateRequest; subject: Subject } {
  let request: x509.Pkcs10CertificateRequest;
  let subject: Subject;
  try {
    request = new x509.Pkcs10CertificateRequest(new Uint8Array(csrDer));
    const [commonName = ''] = request.subjectName.getField('CN');
    const extension = request.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension);
    const names = (extension?.names.items ?? []).map(({ value }) => value);
    subject = { commonName, names };
  } catch (error) {
    throw new DfError('invalid-argument', 'csr: is no PKCS#10 request in DER form', { cause: error });
  }
  checkSubject(subject);
  return { request, subject };
}

function checkSubject({ commonName, names }: Subject): void {
  if (commonName === '' || commonName.length > 64) {
    throw new DfError('invalid-argument', 'csr: the common name must have 1 to 64 characters');
  }
  if (names.length === 0 || names.length > MAX_NAMES) {
    throw new DfError('invalid-argument', `csr: must have 1 to ${MAX_NAMES} alternative names`);
  }
  const wrong = names.find((name) => isIP(name) === 0 && (name.length > MAX_NAME_LENGTH || !DNS_NAME.test(name)));
  if (wrong !== undefined) {
    throw new DfError('invalid-argument', `csr: "${wrong.slice(0, 64)}" is neither a host name nor an IP address`);
  }
}

function alternativeNames(names: readonly string[]): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(
    names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
  );
}

function nameOf(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }, { O: ['dragonfly'] }];
}

/** Positive and of full length, so that its text is the same everywhere. */
function freshSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, x509.PemConverter.PrivateKeyTag)}\n`;
}

async function privateKeyOf(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new DfError('invalid-argument', 'the key of the authority is not in PEM form');
  return await webcrypto.subtle.importKey('pkcs8', der, KEY_ALGORITHM, false, ['sign']);
}
