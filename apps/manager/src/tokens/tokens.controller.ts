import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { PersonalAccessTokenBody } from './token-bodies.js';
import {
  CreatePersonalAccessTokenRequest,
  GetPersonalAccessTokensQuery,
  UpdatePersonalAccessTokenRequest,
} from './token-requests.js';
import { TokensService } from './tokens.service.js';

@ApiTags('PersonalAccessToken')
@ForTenants('scoped')
@Controller('api/v1/personal-access-tokens')
export class TokensController {
  constructor(private readonly tokens: TokensService) {}

  @Post()
  @HttpCode(200)
  @Answers(PersonalAccessTokenBody)
  create(
    @JsonBody(CreatePersonalAccessTokenRequest) request: RequestOf<typeof CreatePersonalAccessTokenRequest>,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PersonalAccessTokenBody> {
    void reply.header('cache-control', 'no-store');
    return this.tokens.create(request, caller);
  }

  @Get(':id')
  @Answers(PersonalAccessTokenBody)
  get(@IdParam() id: number, @CurrentCaller() caller: Caller): Promise<PersonalAccessTokenBody> {
    return this.tokens.get(id, caller);
  }

  @Get()
  @AnswersPage(PersonalAccessTokenBody)
  async list(
    @QueryOf(GetPersonalAccessTokensQuery) query: RequestOf<typeof GetPersonalAccessTokensQuery>,
    @CurrentCaller() caller: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PersonalAccessTokenBody[]> {
    return listAnswer(request, reply, query, await this.tokens.list(query, caller));
  }

  @Patch(':id')
  @Answers(PersonalAccessTokenBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdatePersonalAccessTokenRequest) request: RequestOf<typeof UpdatePersonalAccessTokenRequest>,
    @CurrentCaller() caller: Caller,
  ): Promise<PersonalAccessTokenBody> {
    return this.tokens.update(id, request, caller);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @CurrentCaller() caller: Caller): Promise<void> {
    return this.tokens.delete(id, caller);
  }
}
