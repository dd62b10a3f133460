import { type DynamicModule, Module } from '@nestjs/common';
import { Authorities } from './authorities.js';
import { CertificateCalls } from './certificate-calls.js';
import {
  CertificateAuthoritiesController,
  CertificatesController,
  JoinTokensController,
} from './certificates.controller.js';
import { CertificatesGrpcController } from './certificates.grpc-controller.js';
import { CertificatesService } from './certificates.service.js';

/** What exists before the application. */
export interface CertificateParts {
  readonly authorities: Authorities;
  readonly certificates: CertificatesService;
  readonly calls: CertificateCalls;
}

/** Certificates of the cluster; there when `security.enable` is on. */
@Module({})
export class CertificatesModule {
  static on(platform: DynamicModule, parts: CertificateParts): DynamicModule {
    return {
      module: CertificatesModule,
      imports: [platform],
      controllers: [
        JoinTokensController,
        CertificatesController,
        CertificateAuthoritiesController,
        CertificatesGrpcController,
      ],
      providers: [
        { provide: Authorities, useValue: parts.authorities },
        { provide: CertificatesService, useValue: parts.certificates },
        { provide: CertificateCalls, useValue: parts.calls },
      ],
    };
  }
}
