import { type DynamicModule, Module } from '@nestjs/common';
import { PermissionsController } from './permissions.controller.js';
import { RolesController } from './roles.controller.js';
import { RolesService } from './roles.service.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

/** Accounts, roles and permissions of the REST API. */
@Module({})
export class UsersModule {
  static on(platform: DynamicModule, auth: DynamicModule): DynamicModule {
    return {
      module: UsersModule,
      imports: [platform, auth],
      controllers: [UsersController, RolesController, PermissionsController],
      providers: [UsersService, RolesService],
      exports: [UsersService],
    };
  }
}
