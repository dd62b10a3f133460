import { Controller, Delete, Get, HttpCode, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { SeedPeerClusterBody } from '../rest/resource-bodies.js';
import {
  CreateSeedPeerClusterRequest,
  GetSeedPeerClustersQuery,
  UpdateSeedPeerClusterRequest,
} from './cluster-requests.js';
import { SeedPeerClustersService } from './seed-peer-clusters.service.js';

@ApiTags('SeedPeerCluster')
@ForTenants('scoped')
@Controller('api/v1/seed-peer-clusters')
export class SeedPeerClustersController {
  constructor(private readonly clusters: SeedPeerClustersService) {}

  @Post()
  @Answers(SeedPeerClusterBody)
  @ForTenants('refused')
  @HttpCode(200)
  create(
    @JsonBody(CreateSeedPeerClusterRequest) request: RequestOf<typeof CreateSeedPeerClusterRequest>,
  ): Promise<SeedPeerClusterBody> {
    return this.clusters.create(request);
  }

  @Get(':id')
  @Answers(SeedPeerClusterBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<SeedPeerClusterBody> {
    return this.clusters.get(id, scope);
  }

  @Get()
  @AnswersPage(SeedPeerClusterBody)
  async list(
    @QueryOf(GetSeedPeerClustersQuery) query: RequestOf<typeof GetSeedPeerClustersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SeedPeerClusterBody[]> {
    return listAnswer(request, reply, query, await this.clusters.list(query, scope));
  }

  @Patch(':id')
  @Answers(SeedPeerClusterBody)
  @ForTenants('refused')
  update(
    @IdParam() id: number,
    @JsonBody(UpdateSeedPeerClusterRequest) request: RequestOf<typeof UpdateSeedPeerClusterRequest>,
  ): Promise<SeedPeerClusterBody> {
    return this.clusters.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  @ForTenants('refused')
  delete(@IdParam() id: number): Promise<void> {
    return this.clusters.delete(id);
  }

  @ForTenants('refused')
  @Put(':id/seed-peers/:seed_peer_id')
  @AnswersNothing()
  addSeedPeer(@IdParam() id: number, @IdParam('seed_peer_id') seedPeerId: number): Promise<void> {
    return this.clusters.addSeedPeer(id, seedPeerId);
  }

  @ForTenants('refused')
  @Put(':id/scheduler-clusters/:scheduler_cluster_id')
  @AnswersNothing()
  addSchedulerCluster(
    @IdParam() id: number,
    @IdParam('scheduler_cluster_id') schedulerClusterId: number,
  ): Promise<void> {
    return this.clusters.addSchedulerCluster(id, schedulerClusterId);
  }
}
