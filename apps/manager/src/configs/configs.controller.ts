import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { ConfigBody } from './config-bodies.js';
import { CreateConfigRequest, GetConfigsQuery, UpdateConfigRequest } from './config-requests.js';
import { ConfigsService } from './configs.service.js';

/** Settings of the whole system. */
@ApiTags('Config')
@ForTenants('refused')
@Controller('api/v1/configs')
export class ConfigsController {
  constructor(private readonly configs: ConfigsService) {}

  @Post()
  @HttpCode(200)
  @Answers(ConfigBody)
  create(@JsonBody(CreateConfigRequest) request: RequestOf<typeof CreateConfigRequest>): Promise<ConfigBody> {
    return this.configs.create(request);
  }

  @Get(':id')
  @Answers(ConfigBody)
  get(@IdParam() id: number): Promise<ConfigBody> {
    return this.configs.get(id);
  }

  @Get()
  @AnswersPage(ConfigBody)
  async list(
    @QueryOf(GetConfigsQuery) query: RequestOf<typeof GetConfigsQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ConfigBody[]> {
    return listAnswer(request, reply, query, await this.configs.list(query));
  }

  @Patch(':id')
  @Answers(ConfigBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateConfigRequest) request: RequestOf<typeof UpdateConfigRequest>,
  ): Promise<ConfigBody> {
    return this.configs.update(id, request);
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number): Promise<void> {
    return this.configs.delete(id);
  }
}
