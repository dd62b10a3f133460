import { type DynamicModule, Module } from '@nestjs/common';
import { ApplicationsController } from './applications.controller.js';
import { ApplicationsService } from './applications.service.js';

@Module({})
export class ApplicationsModule {
  static on(platform: DynamicModule, auth: DynamicModule): DynamicModule {
    return {
      module: ApplicationsModule,
      imports: [platform, auth],
      controllers: [ApplicationsController],
      providers: [ApplicationsService],
    };
  }
}
