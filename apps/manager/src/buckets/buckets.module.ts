import { type DynamicModule, Module } from '@nestjs/common';
import { BucketsController } from './buckets.controller.js';
import { ObjectStorage } from './object-storage.js';
import { ObjectStorageGrpcController } from './object-storage.grpc-controller.js';

/** The object storage of the cluster: its buckets for people, its credentials for daemons. */
@Module({})
export class BucketsModule {
  static on(platform: DynamicModule, auth: DynamicModule, storage: ObjectStorage): DynamicModule {
    return {
      module: BucketsModule,
      imports: [platform, auth],
      controllers: [BucketsController, ObjectStorageGrpcController],
      providers: [{ provide: ObjectStorage, useValue: storage }],
    };
  }
}
