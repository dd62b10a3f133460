import { type DynamicModule, Module } from '@nestjs/common';
import { OauthSignInController } from './oauth-sign-in.controller.js';
import { OauthSignIn } from './oauth-sign-in.js';
import { OauthController } from './oauth.controller.js';
import { OauthService } from './oauth.service.js';

/** Signing in through GitHub, Google and OpenID providers, and their set-up. */
@Module({})
export class OauthModule {
  static on(platform: DynamicModule, auth: DynamicModule, users: DynamicModule): DynamicModule {
    return {
      module: OauthModule,
      imports: [platform, auth, users],
      controllers: [OauthSignInController, OauthController],
      providers: [OauthService, OauthSignIn],
    };
  }
}
