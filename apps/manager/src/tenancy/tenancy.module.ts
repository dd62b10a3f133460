import { type DynamicModule, Module } from '@nestjs/common';
import { TenantsController } from './tenants.controller.js';
import { TenantsService } from './tenants.service.js';

@Module({})
export class TenancyModule {
  static on(platform: DynamicModule): DynamicModule {
    return {
      module: TenancyModule,
      imports: [platform],
      controllers: [TenantsController],
      providers: [TenantsService],
    };
  }
}
