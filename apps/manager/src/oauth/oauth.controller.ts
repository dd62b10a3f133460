import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { OauthBody } from './oauth-bodies.js';
import { CreateOauthRequest, GetOauthsQuery, UpdateOauthRequest } from './oauth-requests.js';
import { OauthService } from './oauth.service.js';

@ApiTags('Oauth')
@ForTenants('refused')
@Controller('api/v1/oauth')
export class OauthController {
  constructor(private readonly providers: OauthService) {}

  @Post()
  @HttpCode(200)
  @Answers(OauthBody)
  create(@JsonBody(CreateOauthRequest) request: RequestOf<typeof CreateOauthRequest>): Promise<OauthBody> {
    return this.providers.create(request);
  }

  @Get(':id')
  @Answers(OauthBody)
  get(@IdParam() id: number): Promise<OauthBody> {
    return this.providers.get(id);
  }

  @Get()
  @AnswersPage(OauthBody)
  async list(
    @QueryOf(GetOauthsQuery) query: RequestOf<typeof GetOauthsQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OauthBody[]> {
    return listAnswer(request, reply, query, await this.providers.list(query));
  }

  @Patch(':id')
  @Answers(OauthBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateOauthRequest) request: RequestOf<typeof UpdateOauthRequest>,
  ): Promise<OauthBody> {
    return this.providers.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number): Promise<void> {
    return this.providers.delete(id);
  }
}
