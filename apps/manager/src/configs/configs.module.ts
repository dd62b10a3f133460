import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigsController } from './configs.controller.js';
import { ConfigsService } from './configs.service.js';

@Module({})
export class ConfigsModule {
  static on(platform: DynamicModule): DynamicModule {
    return {
      module: ConfigsModule,
      imports: [platform],
      controllers: [ConfigsController],
      providers: [ConfigsService],
    };
  }
}
