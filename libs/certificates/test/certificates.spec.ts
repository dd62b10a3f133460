import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  certificatesOfPem,
  createAuthority,
  createJoinToken,
  createRequest,
  fingerprintOf,
  formatJoinToken,
  parseJoinToken,
  pemOfCertificate,
  signRequest,
} from '../src/index.js';
import { seal, unseal } from '../src/sealing.js';

const HOUR_MS = 3_600_000;
const SUBJECT = { commonName: 'peer', names: ['127.0.0.1', '::1', 'node-7.example'] };

describe('an issued certificate', () => {
  it('has the names of its request, ends in time, and is signed by the authority', async () => {
    const now = new Date('2026-01-01T00:00:00Z');
    const authority = await createAuthority('test', 10 * HOUR_MS, now);
    const { csrDer, privateKeyPem } = await createRequest(SUBJECT);
    const issued = await signRequest(authority, csrDer, HOUR_MS, now);
    const certificate = new X509Certificate(issued.certificateDer);
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(privateKeyPem))).toBe(true);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkHost('node-7.example')).toBe('node-7.example');
    expect(certificate.checkHost('node-8.example')).toBeUndefined();
    expect(certificate.ca).toBe(false);
    expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial);
    expect(issued.expiresAt).toEqual(new Date('2026-01-01T01:00:00Z'));
    expect(issued.subject).toEqual(SUBJECT);
  });

  it('never outlives its authority', async () => {
    const now = new Date('2026-01-01T00:00:00Z');
    const authority = await createAuthority('test', HOUR_MS, now);
    const { csrDer } = await createRequest(SUBJECT);
    const { expiresAt } = await signRequest(authority, csrDer, 100 * HOUR_MS, now);
    expect(expiresAt).toEqual(new Date('2026-01-01T01:00:00Z'));
  });

  it('serves both sides of a TLS connection', async () => {
    const authority = await createAuthority('test');
    const { csrDer, privateKeyPem } = await createRequest(SUBJECT);
    const { certificateDer } = await signRequest(authority, csrDer, HOUR_MS);
    const own = { ca: authority.certificatePem, cert: pemOfCertificate(certificateDer), key: privateKeyPem };
    const server = createServer({ ...own, requestCert: true, rejectUnauthorized: true }, (socket) => socket.end('hi'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client: TLSSocket = connect({ ...own, host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    const [data] = (await once(client, 'data')) as [Buffer];
    expect(data.toString()).toBe('hi');
    expect(client.authorized).toBe(true);
    client.destroy();
    server.close();
    await once(server, 'close');
  });
});

describe('a request', () => {
  /** What the certificate that is issued for it says. */
  async function subjectOf(csrDer: Uint8Array): Promise<unknown> {
    return (await signRequest(await createAuthority('test'), csrDer, HOUR_MS)).subject;
  }

  it('is refused when it is none, or was changed after it was signed', async () => {
    await expect(subjectOf(randomBytes(200))).rejects.toMatchObject({ code: 'invalid-argument' });
    const { csrDer } = await createRequest(SUBJECT);
    const at = csrDer.indexOf('node-7');
    const changed = Buffer.from(csrDer);
    changed.write('evil-7', at);
    await expect(subjectOf(changed)).rejects.toThrow(/not signed by its own key/);
    await expect(subjectOf(csrDer)).resolves.toEqual(SUBJECT);
  });

  it.each([
    ['no name', []],
    ['a name with a space', ['a b']],
    ['a name of nothing but dots', ['..']],
    ['a wildcard', ['*.example']],
    ['too many names', Array.from({ length: 33 }, (_, i) => `n${i}`)],
  ])('is refused with %s', async (_, names) => {
    const { csrDer } = await createRequest({ commonName: 'x', names });
    await expect(subjectOf(csrDer)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('a join token', () => {
  it('names its authority and is read back from its text', async () => {
    const { certificatePem } = await createAuthority('test');
    const token = createJoinToken(certificatePem);
    expect(parseJoinToken(`${formatJoinToken(token)}\n`)).toEqual(token);
    expect(token.authorityFingerprint).toBe(fingerprintOf(certificatePem));
  });

  it.each(['', 'abc', `${'0'.repeat(64)}.short`, `${'g'.repeat(64)}.${'a'.repeat(43)}`])('is refused: %j', (text) => {
    expect(() => parseJoinToken(text)).toThrow(/joinToken/);
  });
});

describe('a sealed secret', () => {
  const secret = randomBytes(32);

  it('opens with its key and for its purpose only', () => {
    const sealed = seal('the key', secret, 'authority');
    expect(sealed).not.toContain('the key');
    expect(unseal(sealed, secret, 'authority')).toBe('the key');
    expect(() => unseal(sealed, randomBytes(32), 'authority')).toThrow(/does not open/);
    expect(() => unseal(sealed, secret, 'other')).toThrow(/does not open/);
  });

  it('does not open when a byte was changed, or when it is something else', () => {
    const sealed = seal('the key', secret, 'authority');
    const damaged = `${sealed.slice(0, -2)}${sealed.endsWith('AA') ? 'BB' : 'AA'}`;
    expect(() => unseal(damaged, secret, 'authority')).toThrow(/does not open/);
    expect(() => unseal('plain', secret, 'authority')).toThrow(/unknown form/);
  });
});

it('takes every certificate of a PEM text, and refuses a text without one', async () => {
  const one = await createAuthority('one');
  const two = await createAuthority('two');
  const all = certificatesOfPem(`${one.certificatePem}\n${two.certificatePem}`);
  expect(all.map((der) => fingerprintOf(der))).toEqual([one, two].map((made) => fingerprintOf(made.certificatePem)));
  expect(() => certificatesOfPem('nothing')).toThrow(/no certificate/);
});
