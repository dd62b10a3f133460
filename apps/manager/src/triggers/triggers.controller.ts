import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { jobCallerOf } from '../jobs/job-caller.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { CreateTriggerRequest, GetTriggersQuery, UpdateTriggerRequest } from './trigger-requests.js';
import { TriggerBody } from './trigger-body.js';
import { TriggersService } from './triggers.service.js';

/** Schedules, watches and push triggers. Ours; below `jobs`, so that the permission for jobs is the one for them. */
@ApiTags('Job trigger')
@ForTenants('scoped')
@Controller(['api/v1/jobs/triggers', 'oapi/v1/jobs/triggers'])
export class TriggersController {
  constructor(private readonly triggers: TriggersService) {}

  @Post()
  @Answers(TriggerBody)
  @HttpCode(200)
  create(
    @JsonBody(CreateTriggerRequest) body: RequestOf<typeof CreateTriggerRequest>,
    @Req() request: FastifyRequest,
  ): Promise<TriggerBody> {
    return this.triggers.create(body, jobCallerOf(request));
  }

  @Get()
  @AnswersPage(TriggerBody)
  async list(
    @QueryOf(GetTriggersQuery) query: RequestOf<typeof GetTriggersQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TriggerBody[]> {
    return listAnswer(request, reply, query, await this.triggers.list(query, jobCallerOf(request)));
  }

  @Get(':id')
  @Answers(TriggerBody)
  get(@IdParam() id: number, @Req() request: FastifyRequest): Promise<TriggerBody> {
    return this.triggers.get(id, jobCallerOf(request));
  }

  @Patch(':id')
  @Answers(TriggerBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateTriggerRequest) body: RequestOf<typeof UpdateTriggerRequest>,
    @Req() request: FastifyRequest,
  ): Promise<TriggerBody> {
    return this.triggers.update(id, body, jobCallerOf(request));
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @Req() request: FastifyRequest): Promise<void> {
    return this.triggers.delete(id, jobCallerOf(request));
  }

  /** Fires now, whatever its time. */
  @Post(':id/run')
  @Answers(TriggerBody)
  @HttpCode(200)
  run(@IdParam() id: number, @Req() request: FastifyRequest): Promise<TriggerBody> {
    return this.triggers.runNow(id, jobCallerOf(request));
  }
}
