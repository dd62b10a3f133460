import { extCertificates } from '@dragonfly/proto';
import { GrpcServer, handleUnary, type LiveCertificates } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { CertificateCalls } from './certificate-calls.js';

/** Guesses at tokens, each of which costs a lookup, are bounded by this. */
const REQUESTS_PER_SECOND = 50;
/** A request holds a CSR and a token. */
const MAX_REQUEST_BYTES = 128 * 1024;

/**
 * A port for those that have no certificate yet: TLS without a client certificate, and nothing but the certificate service.
 * Whoever joins checks the authority by the fingerprint in its token.
 */
export function startJoinServer(
  address: string,
  live: LiveCertificates,
  calls: CertificateCalls,
  log: Logger,
): Promise<GrpcServer> {
  return GrpcServer.start({
    addresses: [address],
    log,
    tls: { live, asksClients: false },
    requestRateLimit: REQUESTS_PER_SECOND,
    maxReceiveBytes: MAX_REQUEST_BYTES,
    services: [
      {
        service: extCertificates.CertificateServiceService,
        implementation: {
          issueCertificate: handleUnary<
            extCertificates.IssueCertificateRequest,
            extCertificates.IssueCertificateResponse
          >((request) => calls.issue(request, undefined), log),
          getTrust: handleUnary<extCertificates.GetTrustRequest, extCertificates.GetTrustResponse>(
            () => calls.trust(),
            log,
          ),
        },
      },
    ],
  });
}
