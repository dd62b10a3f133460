import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SeedPeerBody } from '../rest/resource-bodies.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { CreateSeedPeerRequest, GetSeedPeersQuery, UpdateSeedPeerRequest } from './instance-requests.js';
import { SeedPeersService } from './seed-peers.service.js';

@ApiTags('SeedPeer')
@ForTenants('scoped')
@Controller('api/v1/seed-peers')
export class SeedPeersController {
  constructor(private readonly instances: SeedPeersService) {}

  @Post()
  @Answers(SeedPeerBody)
  @ForTenants('refused')
  @HttpCode(200)
  create(@JsonBody(CreateSeedPeerRequest) request: RequestOf<typeof CreateSeedPeerRequest>): Promise<SeedPeerBody> {
    return this.instances.create(request);
  }

  @Get(':id')
  @Answers(SeedPeerBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<SeedPeerBody> {
    return this.instances.get(id, scope);
  }

  @Get()
  @AnswersPage(SeedPeerBody)
  async list(
    @QueryOf(GetSeedPeersQuery) query: RequestOf<typeof GetSeedPeersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SeedPeerBody[]> {
    return listAnswer(request, reply, query, await this.instances.list(query, scope));
  }

  @Patch(':id')
  @Answers(SeedPeerBody)
  @ForTenants('refused')
  update(
    @IdParam() id: number,
    @JsonBody(UpdateSeedPeerRequest) request: RequestOf<typeof UpdateSeedPeerRequest>,
  ): Promise<SeedPeerBody> {
    return this.instances.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  @ForTenants('refused')
  delete(@IdParam() id: number): Promise<void> {
    return this.instances.delete(id);
  }
}
