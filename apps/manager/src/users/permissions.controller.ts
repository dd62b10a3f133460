import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ForTenants } from '../auth/route-rules.js';
import { AnswersList, bodyType } from '../rest/answers.js';
import { RolesService } from './roles.service.js';

const PermissionBody = bodyType('Permission', z.object({ object: z.string(), action: z.enum(['read', '*']) }));

@ApiTags('Permission')
@ForTenants('open')
@Controller('api/v1/permissions')
export class PermissionsController {
  constructor(private readonly roles: RolesService) {}

  @Get()
  @AnswersList(PermissionBody)
  list(): { object: string; action: string }[] {
    return this.roles.permissions();
  }
}
