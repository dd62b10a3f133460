import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { ApplicationBody } from './application-bodies.js';
import { CreateApplicationRequest, GetApplicationsQuery, UpdateApplicationRequest } from './application-requests.js';
import { ApplicationsService } from './applications.service.js';

@ApiTags('Application')
@ForTenants('scoped')
@Controller('api/v1/applications')
export class ApplicationsController {
  constructor(private readonly applications: ApplicationsService) {}

  @Post()
  @HttpCode(200)
  @Answers(ApplicationBody)
  create(
    @JsonBody(CreateApplicationRequest) request: RequestOf<typeof CreateApplicationRequest>,
    @CurrentCaller() caller: Caller,
  ): Promise<ApplicationBody> {
    return this.applications.create(request, caller);
  }

  @Get(':id')
  @Answers(ApplicationBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<ApplicationBody> {
    return this.applications.get(id, scope);
  }

  @Get()
  @AnswersPage(ApplicationBody)
  async list(
    @QueryOf(GetApplicationsQuery) query: RequestOf<typeof GetApplicationsQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ApplicationBody[]> {
    return listAnswer(request, reply, query, await this.applications.list(query, scope));
  }

  @Patch(':id')
  @Answers(ApplicationBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateApplicationRequest) request: RequestOf<typeof UpdateApplicationRequest>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<ApplicationBody> {
    return this.applications.update(id, request, scope);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<void> {
    return this.applications.delete(id, scope);
  }
}
