import { Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { jobCallerOf } from '../jobs/job-caller.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { CreatePeerRequest, GetPeersQuery } from './peer-requests.js';
import { type PeerBody, PeersService } from './peers.service.js';

@ApiTags('Peer')
@Controller('api/v1/peers')
export class PeersController {
  constructor(private readonly peers: PeersService) {}

  @Post()
  @HttpCode(200)
  create(
    @JsonBody(CreatePeerRequest) body: RequestOf<typeof CreatePeerRequest>,
    @Req() request: FastifyRequest,
  ): Promise<PeerBody> {
    return this.peers.create(body, jobCallerOf(request));
  }

  @Get(':id')
  get(@IdParam() id: number, @Req() request: FastifyRequest): Promise<PeerBody> {
    return this.peers.get(id, jobCallerOf(request));
  }

  @Get()
  async list(
    @QueryOf(GetPeersQuery) query: RequestOf<typeof GetPeersQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PeerBody[]> {
    return listAnswer(request, reply, query, await this.peers.list(query, jobCallerOf(request)));
  }

  @Delete(':id')
  delete(@IdParam() id: number, @Req() request: FastifyRequest): Promise<void> {
    return this.peers.delete(id, jobCallerOf(request));
  }
}
