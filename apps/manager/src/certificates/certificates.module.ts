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
import type { Security } from './security.js';

/** Certificates of the cluster; there when `security.enable` is on. */
@Module({})
export class CertificatesModule {
  static on(platform: DynamicModule, security: Security): DynamicModule {
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
        { provide: Authorities, useValue: security.authorities },
        { provide: CertificatesService, useValue: security.certificates },
        { provide: CertificateCalls, useValue: security.calls },
      ],
    };
  }
}
