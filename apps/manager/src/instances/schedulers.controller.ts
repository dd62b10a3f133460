import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SchedulerBody } from '../rest/resource-bodies.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { CreateSchedulerRequest, GetSchedulersQuery, UpdateSchedulerRequest } from './instance-requests.js';
import { SchedulersService } from './schedulers.service.js';

@ApiTags('Scheduler')
@ForTenants('scoped')
@Controller('api/v1/schedulers')
export class SchedulersController {
  constructor(private readonly instances: SchedulersService) {}

  @Post()
  @Answers(SchedulerBody)
  @HttpCode(200)
  create(
    @JsonBody(CreateSchedulerRequest) request: RequestOf<typeof CreateSchedulerRequest>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<SchedulerBody> {
    scope.requireCluster(request.scheduler_cluster_id);
    return this.instances.create(request);
  }

  @Get(':id')
  @Answers(SchedulerBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<SchedulerBody> {
    return this.instances.get(id, scope);
  }

  @Get()
  @AnswersPage(SchedulerBody)
  async list(
    @QueryOf(GetSchedulersQuery) query: RequestOf<typeof GetSchedulersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SchedulerBody[]> {
    return listAnswer(request, reply, query, await this.instances.list(query, scope));
  }

  @Patch(':id')
  @Answers(SchedulerBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateSchedulerRequest) request: RequestOf<typeof UpdateSchedulerRequest>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<SchedulerBody> {
    return this.instances.update(id, request, scope);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<void> {
    return this.instances.delete(id, scope);
  }
}
