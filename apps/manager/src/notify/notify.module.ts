import { type DynamicModule, Module } from '@nestjs/common';
import { NotifyGrpcController } from './notify.grpc-controller.js';

/** Tells schedulers and daemons what has changed. */
@Module({})
export class NotifyModule {
  static on(platform: DynamicModule): DynamicModule {
    return { module: NotifyModule, imports: [platform], controllers: [NotifyGrpcController] };
  }
}
