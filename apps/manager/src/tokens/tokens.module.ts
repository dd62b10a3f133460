import { type DynamicModule, Module } from '@nestjs/common';
import { TokensController } from './tokens.controller.js';
import { TokensService } from './tokens.service.js';

@Module({})
export class TokensModule {
  static on(platform: DynamicModule, auth: DynamicModule): DynamicModule {
    return {
      module: TokensModule,
      imports: [platform, auth],
      controllers: [TokensController],
      providers: [TokensService],
    };
  }
}
