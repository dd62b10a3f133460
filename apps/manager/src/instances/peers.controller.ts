import { Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { PeerBody } from './peer-bodies.js';
import { CreatePeerRequest, GetPeersQuery } from './peer-requests.js';
import { PeersService } from './peers.service.js';

@ApiTags('Peer')
@ForTenants('scoped')
@Controller('api/v1/peers')
export class PeersController {
  constructor(private readonly peers: PeersService) {}

  @Post()
  @HttpCode(200)
  @Answers(PeerBody)
  create(
    @JsonBody(CreatePeerRequest) request: RequestOf<typeof CreatePeerRequest>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<PeerBody> {
    scope.requireCluster(request.scheduler_cluster_id);
    return this.peers.create(request);
  }

  @Get(':id')
  @Answers(PeerBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<PeerBody> {
    return this.peers.get(id, scope);
  }

  @Get()
  @AnswersPage(PeerBody)
  async list(
    @QueryOf(GetPeersQuery) query: RequestOf<typeof GetPeersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PeerBody[]> {
    return listAnswer(request, reply, query, await this.peers.list(query, scope));
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<void> {
    return this.peers.delete(id, scope);
  }
}
