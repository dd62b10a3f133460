import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsService } from './accounts.service.js';
import { AuthGuard } from './auth.guard.js';
import { SessionsController } from './sessions.controller.js';

/** Signing in, and the guard that every route of the application passes. */
@Module({})
export class AuthModule {
  static on(platform: DynamicModule): DynamicModule {
    return {
      module: AuthModule,
      imports: [platform],
      controllers: [SessionsController],
      providers: [AccountsService, { provide: APP_GUARD, useClass: AuthGuard }],
    };
  }
}
