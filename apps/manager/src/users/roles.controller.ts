import { Controller, Delete, Get, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ForTenants } from '../auth/route-rules.js';
import { AnswersList, AnswersNothing, RefusesWithoutBody } from '../rest/answers.js';
import { JsonBody, NameParam } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import {
  AddPermissionForRoleRequest,
  CreateRoleRequest,
  DeletePermissionForRoleRequest,
  MAX_ROLE_LENGTH,
} from './role-requests.js';
import { RolesService } from './roles.service.js';

/** Roles are the same for all tenants: they see them, and administrators change them. */
@ApiTags('Role')
@ForTenants('refused')
@Controller('api/v1/roles')
export class RolesController {
  constructor(private readonly roles: RolesService) {}

  @Post()
  @HttpCode(200)
  @AnswersNothing()
  create(@JsonBody(CreateRoleRequest) request: RequestOf<typeof CreateRoleRequest>): Promise<void> {
    return this.roles.create(request);
  }

  @Delete(':role')
  @AnswersNothing()
  @RefusesWithoutBody(404)
  delete(@NameParam('role', MAX_ROLE_LENGTH) role: string): Promise<void> {
    return this.roles.delete(role);
  }

  @Get(':role')
  @ForTenants('open')
  @AnswersList(z.array(z.string()))
  get(@NameParam('role', MAX_ROLE_LENGTH) role: string): Promise<string[][]> {
    return this.roles.permissionsOf(role);
  }

  @Get()
  @ForTenants('open')
  @AnswersList(z.string())
  list(): Promise<string[]> {
    return this.roles.names();
  }

  @Post(':role/permissions')
  @HttpCode(200)
  @AnswersNothing()
  @RefusesWithoutBody(409)
  addPermission(
    @NameParam('role', MAX_ROLE_LENGTH) role: string,
    @JsonBody(AddPermissionForRoleRequest) request: RequestOf<typeof AddPermissionForRoleRequest>,
  ): Promise<void> {
    return this.roles.addPermission(role, request);
  }

  @Delete(':role/permissions')
  @AnswersNothing()
  @RefusesWithoutBody(404)
  removePermission(
    @NameParam('role', MAX_ROLE_LENGTH) role: string,
    @JsonBody(DeletePermissionForRoleRequest) request: RequestOf<typeof DeletePermissionForRoleRequest>,
  ): Promise<void> {
    return this.roles.removePermission(role, request);
  }
}
