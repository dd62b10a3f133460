import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ApplicationsModule } from './applications/applications.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuthModule } from './auth/auth.module.js';
import { BucketsModule } from './buckets/buckets.module.js';
import type { Security } from './certificates/security.js';
import { ClustersModule } from './clusters/clusters.module.js';
import { ConfigsModule } from './configs/configs.module.js';
import { InstancesModule } from './instances/instances.module.js';
import type { JobParts } from './jobs/job-parts.js';
import { JobsModule } from './jobs/jobs.module.js';
import { NotifyModule } from './notify/notify.module.js';
import { TenancyModule } from './tenancy/tenancy.module.js';
import { TokensModule } from './tokens/tokens.module.js';
import { UsersModule } from './users/users.module.js';
import { OauthModule } from './oauth/oauth.module.js';
import { PersistentTasksModule } from './persistent-tasks/persistent-tasks.module.js';
import { type ManagerParts, PlatformModule } from './platform.module.js';
import { StatusController } from './status/status.controller.js';

/** The manager's application. */
@Module({})
export class ManagerModule {
  static forParts(parts: ManagerParts, jobParts: JobParts, security?: Security): DynamicModule {
    const platform = PlatformModule.forParts(parts);
    const auth = AuthModule.on(platform);
    const audit = AuditModule.on(platform);
    const jobs = JobsModule.on(platform, auth, audit, jobParts);
    const users = UsersModule.on(platform, auth);
    return {
      module: ManagerModule,
      imports: [
        DiscoveryModule,
        platform,
        auth,
        ClustersModule.on(platform, auth),
        InstancesModule.on(platform, jobs),
        NotifyModule.on(platform),
        jobs,
        ...(security ? [security.module(platform)] : []),
        users,
        OauthModule.on(platform, auth, users),
        BucketsModule.on(platform, auth, parts.objectStorage),
        ConfigsModule.on(platform),
        ApplicationsModule.on(platform, auth),
        TokensModule.on(platform, auth),
        audit,
        PersistentTasksModule.on(platform, jobs),
        TenancyModule.on(platform),
      ],
      controllers: [StatusController],
    };
  }
}
