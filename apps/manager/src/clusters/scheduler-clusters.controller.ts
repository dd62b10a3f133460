import { Controller, Delete, Get, HttpCode, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { KeptWithTopology, keepAnswer } from '../rest/kept-answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { SchedulerClusterBody } from '../rest/resource-bodies.js';
import {
  CreateSchedulerClusterRequest,
  GetSchedulerClustersQuery,
  UpdateSchedulerClusterRequest,
} from './cluster-requests.js';
import { SchedulerClustersService } from './scheduler-clusters.service.js';

@ApiTags('SchedulerCluster')
@ForTenants('scoped')
@Controller('api/v1/scheduler-clusters')
export class SchedulerClustersController {
  constructor(private readonly clusters: SchedulerClustersService) {}

  @Post()
  @Answers(SchedulerClusterBody)
  @ForTenants('refused')
  @HttpCode(200)
  create(
    @JsonBody(CreateSchedulerClusterRequest) request: RequestOf<typeof CreateSchedulerClusterRequest>,
  ): Promise<SchedulerClusterBody> {
    return this.clusters.create(request);
  }

  @Get(':id')
  @Answers(SchedulerClusterBody)
  @KeptWithTopology()
  get(
    @IdParam() id: number,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
  ): Promise<SchedulerClusterBody> {
    scope.requireCluster(id);
    keepAnswer(request);
    return this.clusters.get(id);
  }

  @Get()
  @AnswersPage(SchedulerClusterBody)
  @KeptWithTopology()
  async list(
    @QueryOf(GetSchedulerClustersQuery) query: RequestOf<typeof GetSchedulerClustersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SchedulerClusterBody[]> {
    if (!query.name) {
      keepAnswer(request);
    }
    return listAnswer(request, reply, query, await this.clusters.list(query, scope));
  }

  @Patch(':id')
  @Answers(SchedulerClusterBody)
  @ForTenants('refused')
  update(
    @IdParam() id: number,
    @JsonBody(UpdateSchedulerClusterRequest) request: RequestOf<typeof UpdateSchedulerClusterRequest>,
  ): Promise<SchedulerClusterBody> {
    return this.clusters.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  @ForTenants('refused')
  delete(@IdParam() id: number): Promise<void> {
    return this.clusters.delete(id);
  }

  @ForTenants('refused')
  @Put(':id/schedulers/:scheduler_id')
  @AnswersNothing()
  addScheduler(@IdParam() id: number, @IdParam('scheduler_id') schedulerId: number): Promise<void> {
    return this.clusters.addScheduler(id, schedulerId);
  }
}
