import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccessTokenVerifier } from './access-token-verifier.js';
import { AccountsService } from './accounts.service.js';
import { AuthGuard } from './auth.guard.js';
import { LoginThrottle } from './login-throttle.js';
import { RequestGate } from './request-gate.js';
import { SessionCookies } from './session-cookies.js';
import { SessionsController } from './sessions.controller.js';
import { TenantQuotas } from './tenant-quotas.js';
import { TenantRates } from './tenant-rates.js';

/** Signing in, and the guard that every route of the application passes. */
@Module({})
export class AuthModule {
  static on(platform: DynamicModule): DynamicModule {
    const shared = [
      AccountsService,
      LoginThrottle,
      SessionCookies,
      TenantQuotas,
      TenantRates,
      AccessTokenVerifier,
      RequestGate,
    ];
    return {
      module: AuthModule,
      imports: [platform],
      controllers: [SessionsController],
      providers: [...shared, { provide: APP_GUARD, useClass: AuthGuard }],
      exports: shared,
    };
  }
}
