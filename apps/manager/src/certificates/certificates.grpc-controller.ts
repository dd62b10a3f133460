import type { extCertificates } from '@dragonfly/proto';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { GrpcErrorFilter } from '../grpc/grpc-error.filter.js';
import { CertificateCalls } from './certificate-calls.js';

const SERVICE = 'CertificateService';

/** dragonfly.ext.v1.CertificateService for callers that have a certificate already. */
@Controller()
@UseFilters(GrpcErrorFilter)
export class CertificatesGrpcController {
  constructor(private readonly calls: CertificateCalls) {}

  @GrpcMethod(SERVICE, 'IssueCertificate')
  issueCertificate(
    request: extCertificates.IssueCertificateRequest,
    _metadata: unknown,
    call: ServerUnaryCall<unknown, unknown>,
  ): Promise<extCertificates.IssueCertificateResponse> {
    return this.calls.issue(request, call.getAuthContext().sslPeerCertificate?.serialNumber.toLowerCase());
  }

  @GrpcMethod(SERVICE, 'GetTrust')
  getTrust(): Promise<extCertificates.GetTrustResponse> {
    return this.calls.trust();
  }
}
