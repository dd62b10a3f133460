import { type DynamicModule, Module } from '@nestjs/common';
import { ManagerGrpcController } from '../grpc/manager.grpc-controller.js';
import { SchedulerLists } from '../grpc/scheduler-lists.js';
import { ApplicationsReader } from './applications.js';
import { InstanceSweeper } from './instance-sweeper.js';
import { KeepAliveService } from './keep-alive.js';
import { PeersController } from './peers.controller.js';
import { PeersService } from './peers.service.js';
import { SchedulerFeaturesController } from './scheduler-features.controller.js';
import { SchedulerRegistry } from './scheduler-registry.js';
import { SchedulersController } from './schedulers.controller.js';
import { SchedulersService } from './schedulers.service.js';
import { SeedPeerRegistry } from './seed-peer-registry.js';
import { SeedPeersController } from './seed-peers.controller.js';
import { SeedPeersService } from './seed-peers.service.js';

/** Schedulers and seed peers: manager.v2, through which they speak for themselves, and the REST API about them. */
@Module({})
export class InstancesModule {
  /** @param jobs tells which daemons were seen */
  static on(platform: DynamicModule, jobs: DynamicModule): DynamicModule {
    return {
      module: InstancesModule,
      imports: [platform, jobs],
      controllers: [
        SchedulersController,
        SchedulerFeaturesController,
        SeedPeersController,
        PeersController,
        ManagerGrpcController,
      ],
      providers: [
        SchedulersService,
        SeedPeersService,
        PeersService,
        SchedulerRegistry,
        SchedulerLists,
        SeedPeerRegistry,
        ApplicationsReader,
        KeepAliveService,
        InstanceSweeper,
      ],
    };
  }
}
