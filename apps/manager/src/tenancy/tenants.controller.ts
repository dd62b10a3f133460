import { DfError } from '@dragonfly/errors';
import { Controller, Delete, Get, HttpCode, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { TenantBody } from './tenant-bodies.js';
import { CreateTenantRequest, GetTenantsQuery, UpdateTenantRequest } from './tenant-requests.js';
import { TenantsService } from './tenants.service.js';

/** Tenants: made by administrators, who belong to none. A resource of ours. */
@ApiTags('Tenant')
@ForTenants('refused')
@Controller('api/v1/tenants')
export class TenantsController {
  constructor(private readonly tenants: TenantsService) {}

  @Post()
  @HttpCode(200)
  @Answers(TenantBody)
  create(@JsonBody(CreateTenantRequest) request: RequestOf<typeof CreateTenantRequest>): Promise<TenantBody> {
    return this.tenants.create(request);
  }

  @Get(':id')
  @ForTenants('scoped')
  @Answers(TenantBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<TenantBody> {
    return this.tenants.get(id, scope);
  }

  @Get()
  @ForTenants('scoped')
  @AnswersPage(TenantBody)
  async list(
    @QueryOf(GetTenantsQuery) query: RequestOf<typeof GetTenantsQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TenantBody[]> {
    return listAnswer(request, reply, query, await this.tenants.list(query, scope));
  }

  @Patch(':id')
  @Answers(TenantBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateTenantRequest) request: RequestOf<typeof UpdateTenantRequest>,
  ): Promise<TenantBody> {
    return this.tenants.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number): Promise<void> {
    return this.tenants.delete(id);
  }

  @Put(':id/users/:user_id')
  @AnswersNothing()
  addUser(@IdParam() id: number, @IdParam('user_id') userId: number, @CurrentCaller() caller: Caller): Promise<void> {
    if (caller.userId === userId) {
      const text = 'another administrator must put you into a tenant';
      throw new DfError('already-exists', text, { details: { shown: text } });
    }
    return this.tenants.addUser(id, userId);
  }

  @Delete(':id/users/:user_id')
  @AnswersNothing()
  removeUser(@IdParam() id: number, @IdParam('user_id') userId: number): Promise<void> {
    return this.tenants.removeUser(id, userId);
  }
}
