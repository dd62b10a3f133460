import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SchedulerBody } from '../rest/resource-bodies.js';
import { listAnswer } from '../rest/list-answer.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { CreateSchedulerRequest, GetSchedulersQuery, UpdateSchedulerRequest } from './instance-requests.js';
import { SchedulersService } from './schedulers.service.js';

@ApiTags('Scheduler')
@Controller('api/v1/schedulers')
export class SchedulersController {
  constructor(private readonly instances: SchedulersService) {}

  @Post()
  @HttpCode(200)
  create(@JsonBody(CreateSchedulerRequest) request: RequestOf<typeof CreateSchedulerRequest>): Promise<SchedulerBody> {
    return this.instances.create(request);
  }

  @Get(':id')
  get(@IdParam() id: number): Promise<SchedulerBody> {
    return this.instances.get(id);
  }

  @Get()
  async list(
    @QueryOf(GetSchedulersQuery) query: RequestOf<typeof GetSchedulersQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SchedulerBody[]> {
    return listAnswer(request, reply, query, await this.instances.list(query));
  }

  @Patch(':id')
  update(
    @IdParam() id: number,
    @JsonBody(UpdateSchedulerRequest) request: RequestOf<typeof UpdateSchedulerRequest>,
  ): Promise<SchedulerBody> {
    return this.instances.update(id, request);
  }

  @Delete(':id')
  delete(@IdParam() id: number): Promise<void> {
    return this.instances.delete(id);
  }
}
