import { type DynamicModule, Module } from '@nestjs/common';
import { ClustersController } from './clusters.controller.js';
import { ClustersService } from './clusters.service.js';
import { SchedulerClustersController } from './scheduler-clusters.controller.js';
import { SchedulerClustersService } from './scheduler-clusters.service.js';
import { SeedPeerClustersController } from './seed-peer-clusters.controller.js';
import { SeedPeerClustersService } from './seed-peer-clusters.service.js';

/** The three cluster resources of the REST API. */
@Module({})
export class ClustersModule {
  static on(platform: DynamicModule, auth: DynamicModule): DynamicModule {
    return {
      module: ClustersModule,
      imports: [platform, auth],
      controllers: [ClustersController, SchedulerClustersController, SeedPeerClustersController],
      providers: [ClustersService, SchedulerClustersService, SeedPeerClustersService],
    };
  }
}
