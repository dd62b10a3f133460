import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { listAnswer } from '../rest/list-answer.js';
import type { ClusterBody } from '../rest/resource-bodies.js';
import { CreateClusterRequest, GetClustersQuery, UpdateClusterRequest } from './cluster-requests.js';
import { ClustersService } from './clusters.service.js';

@ApiTags('Cluster')
@Controller(['api/v1/clusters', 'oapi/v1/clusters'])
export class ClustersController {
  constructor(private readonly clusters: ClustersService) {}

  @Post()
  @HttpCode(200)
  create(@JsonBody(CreateClusterRequest) request: RequestOf<typeof CreateClusterRequest>): Promise<ClusterBody> {
    return this.clusters.create(request);
  }

  @Get(':id')
  get(@IdParam() id: number): Promise<ClusterBody> {
    return this.clusters.get(id);
  }

  @Get()
  async list(
    @QueryOf(GetClustersQuery) query: RequestOf<typeof GetClustersQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ClusterBody[]> {
    return listAnswer(request, reply, query, await this.clusters.list(query));
  }

  @Patch(':id')
  update(
    @IdParam() id: number,
    @JsonBody(UpdateClusterRequest) request: RequestOf<typeof UpdateClusterRequest>,
  ): Promise<ClusterBody> {
    return this.clusters.update(id, request);
  }

  @Delete(':id')
  delete(@IdParam() id: number): Promise<void> {
    return this.clusters.delete(id);
  }
}
