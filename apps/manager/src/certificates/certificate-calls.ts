import { certificatesOfPem } from '@dragonfly/certificates';
import { DfError } from '@dragonfly/errors';
import { durationToMs, type extCertificates } from '@dragonfly/proto';
import type { Authorities } from './authorities.js';
import type { CertificatesService } from './certificates.service.js';

/** dragonfly.ext.v1.CertificateService, whatever port it is served on. */
export class CertificateCalls {
  constructor(
    private readonly authorities: Authorities,
    private readonly certificates: CertificatesService,
  ) {}

  /** @param clientSerial of the client certificate of the connection, when there is one */
  async issue(
    request: extCertificates.IssueCertificateRequest,
    clientSerial: string | undefined,
  ): Promise<extCertificates.IssueCertificateResponse> {
    const validityMs = request.validity === undefined ? undefined : durationToMs(request.validity);
    const issued = await this.certificates.issue(request.csr, this.claimOf(request, clientSerial), validityMs);
    return {
      certificateChain: [issued.certificateDer],
      authorities: await this.trustedDer(),
      expiresAt: issued.expiresAt,
    };
  }

  async trust(): Promise<extCertificates.GetTrustResponse> {
    const revoked = await this.certificates.refreshRevoked();
    const { fingerprint } = await this.authorities.signing();
    return { authorities: await this.trustedDer(), revokedSerials: [...revoked], signingFingerprint: fingerprint };
  }

  private claimOf(request: extCertificates.IssueCertificateRequest, serial: string | undefined) {
    if (request.joinToken !== '') return { kind: 'token', token: request.joinToken } as const;
    if (serial !== undefined) return { kind: 'certificate', serial } as const;
    throw new DfError('unauthenticated', 'a join token, or a connection with a client certificate, is needed');
  }

  private async trustedDer(): Promise<Buffer[]> {
    return (await this.authorities.trusted()).flatMap(({ certificate }) => certificatesOfPem(certificate));
  }
}
