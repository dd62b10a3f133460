import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { ClusterBody } from '../rest/resource-bodies.js';
import { CreateClusterRequest, GetClustersQuery, UpdateClusterRequest } from './cluster-requests.js';
import { ClustersService } from './clusters.service.js';

@ApiTags('Cluster')
@ForTenants('scoped')
@Controller(['api/v1/clusters', 'oapi/v1/clusters'])
export class ClustersController {
  constructor(private readonly clusters: ClustersService) {}

  @Post()
  @Answers(ClusterBody)
  @HttpCode(200)
  create(
    @JsonBody(CreateClusterRequest) request: RequestOf<typeof CreateClusterRequest>,
    @CurrentCaller() caller: Caller,
  ): Promise<ClusterBody> {
    return this.clusters.create(request, caller);
  }

  @Get(':id')
  @Answers(ClusterBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<ClusterBody> {
    scope.requireCluster(id);
    return this.clusters.get(id);
  }

  @Get()
  @AnswersPage(ClusterBody)
  async list(
    @QueryOf(GetClustersQuery) query: RequestOf<typeof GetClustersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ClusterBody[]> {
    return listAnswer(request, reply, query, await this.clusters.list(query, scope));
  }

  @Patch(':id')
  @Answers(ClusterBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateClusterRequest) request: RequestOf<typeof UpdateClusterRequest>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<ClusterBody> {
    scope.requireCluster(id);
    return this.clusters.update(id, request, scope);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<void> {
    scope.requireCluster(id);
    return this.clusters.delete(id, scope);
  }
}
