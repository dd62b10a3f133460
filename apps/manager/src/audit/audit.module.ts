import { type DynamicModule, Module } from '@nestjs/common';
import { AuditLog } from './audit-log.js';
import { AuditsController } from './audits.controller.js';

@Module({})
export class AuditModule {
  static on(platform: DynamicModule): DynamicModule {
    return {
      module: AuditModule,
      imports: [platform],
      controllers: [AuditsController],
      providers: [AuditLog],
      exports: [AuditLog],
    };
  }
}
