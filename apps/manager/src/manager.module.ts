import { type DynamicModule, Module } from '@nestjs/common';
import { AuthModule } from './auth/auth.module.js';
import { CertificatesModule } from './certificates/certificates.module.js';
import type { Security } from './certificates/security.js';
import { ClustersModule } from './clusters/clusters.module.js';
import { InstancesModule } from './instances/instances.module.js';
import type { JobParts } from './jobs/job-parts.js';
import { JobsModule } from './jobs/jobs.module.js';
import { NotifyModule } from './notify/notify.module.js';
import { type ManagerParts, PlatformModule } from './platform.module.js';
import { StatusController } from './status/status.controller.js';

/** The manager's application. */
@Module({})
export class ManagerModule {
  static forParts(parts: ManagerParts, jobs: JobParts, security?: Security): DynamicModule {
    const platform = PlatformModule.forParts(parts);
    const auth = AuthModule.on(platform);
    return {
      module: ManagerModule,
      imports: [
        platform,
        auth,
        ClustersModule.on(platform, auth),
        InstancesModule.on(platform),
        NotifyModule.on(platform),
        JobsModule.on(platform, jobs),
        ...(security ? [CertificatesModule.on(platform, security)] : []),
      ],
      controllers: [StatusController],
    };
  }
}
