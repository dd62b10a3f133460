import { Controller, Delete, Get, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { Answers, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { pageFields } from '../rest/pagination.js';
import { NameParam, QueryOf } from '../rest/request-decorators.js';
import { requestType, requiredQueryId, type RequestOf } from '../rest/rest-schema.js';
import { PersistentCacheTaskBody } from './persistent-task-bodies.js';
import { PersistentTasksService } from './persistent-tasks.service.js';

const cluster = { scheduler_cluster_id: requiredQueryId() };
const GetPersistentCacheTaskQuery = requestType('GetPersistentCacheTaskQuery', z.object(cluster));
const DestroyPersistentCacheTaskQuery = requestType('DestroyPersistentCacheTaskQuery', z.object(cluster));
const GetPersistentCacheTasksQuery = requestType(
  'GetPersistentCacheTasksQuery',
  z.object({ ...cluster, ...pageFields }),
);

@ApiTags('PersistentCacheTask')
@ForTenants('scoped')
@Controller('api/v1/persistent-cache-tasks')
export class PersistentTasksController {
  constructor(private readonly tasks: PersistentTasksService) {}

  @Get(':id')
  @Answers(PersistentCacheTaskBody)
  get(
    @NameParam('id') id: string,
    @QueryOf(GetPersistentCacheTaskQuery) query: RequestOf<typeof GetPersistentCacheTaskQuery>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<PersistentCacheTaskBody> {
    return this.tasks.get(query.scheduler_cluster_id, id, scope);
  }

  /** All tasks, whatever page is asked for, as the original does. */
  @Get()
  @AnswersPage(PersistentCacheTaskBody)
  async list(
    @QueryOf(GetPersistentCacheTasksQuery) query: RequestOf<typeof GetPersistentCacheTasksQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PersistentCacheTaskBody[]> {
    const bodies = await this.tasks.list(query.scheduler_cluster_id, scope);
    return listAnswer(request, reply, query, { bodies, total: bodies.length });
  }

  @Delete(':id')
  @AnswersNothing()
  delete(
    @NameParam('id') id: string,
    @QueryOf(DestroyPersistentCacheTaskQuery) query: RequestOf<typeof DestroyPersistentCacheTaskQuery>,
    @CurrentCaller() { scope }: Caller,
  ): Promise<void> {
    return this.tasks.delete(query.scheduler_cluster_id, id, scope);
  }
}
