import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { fingerprintOf, formatJoinToken, type JoinToken, pemOfCertificate } from '@dragonfly/certificates';
import { DfError } from '@dragonfly/errors';
import { extCertificates } from '@dragonfly/proto';
import { createGrpcClient, parseAddress, unary } from '@dragonfly/rpc';

/** Longest handshake with a manager that is asked for its authority. */
const HANDSHAKE_TIMEOUT_MS = 5_000;
const CALL_DEADLINE_MS = 20_000;
/** Longest chain that is looked through. */
const MAX_CHAIN = 8;

/**
 * Gets a first certificate: looks at the certificates that the manager shows, finds the authority that the token names,
 * and only then, over a connection that it has signed for, hands the token over.
 * @param address `host:port` of the manager's join port
 * @throws DfError unauthenticated when the authority is another one or the token is refused; unavailable
 */
export async function join(
  address: string,
  token: JoinToken,
  csrDer: Buffer,
  signal: AbortSignal,
): Promise<extCertificates.IssueCertificateResponse> {
  const authority = await authorityOf(address, token.authorityFingerprint, signal);
  const client = createGrpcClient(extCertificates.CertificateServiceClient, address, {
    tls: { ca: Buffer.from(pemOfCertificate(authority.raw)) },
  });
  try {
    return await unary<extCertificates.IssueCertificateRequest, extCertificates.IssueCertificateResponse>(
      client.issueCertificate.bind(client),
      { csr: csrDer, joinToken: formatJoinToken(token), validity: undefined },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
  } finally {
    client.close();
  }
}

async function authorityOf(address: string, fingerprint: string, signal: AbortSignal): Promise<X509Certificate> {
  const parsed = parseAddress(address);
  if (parsed.kind !== 'tcp') throw new DfError('invalid-argument', `"${address}" must be host:port`);
  const { host, port } = parsed;
  // Nothing is trusted here and nothing is sent: the certificates are looked at.
  const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS)]);
    await once(socket, 'secureConnect', { signal: deadline });
    let shown: { raw?: Buffer; issuerCertificate?: unknown } | undefined = socket.getPeerCertificate(true);
    for (let depth = 0; depth < MAX_CHAIN && shown?.raw !== undefined; depth += 1) {
      const certificate = new X509Certificate(shown.raw);
      if (certificate.ca && fingerprintOf(certificate.raw) === fingerprint) return certificate;
      const next = shown.issuerCertificate as typeof shown;
      if (next === shown) break;
      shown = next;
    }
  } catch (error) {
    throw DfError.from(error, 'unavailable');
  } finally {
    socket.destroy();
  }
  throw new DfError('unauthenticated', `${address} does not belong to the authority that the join token names`);
}
