import { DfError } from '@dragonfly/errors';
import { Controller, Get, HttpCode, Param, Post, Req, UseGuards } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf } from '../auth/caller.js';
import { Public } from '../auth/route-rules.js';
import { JobAdmission } from '../jobs/job-admission.js';
import { PREHEAT_SCOPES, type PreheatArgs } from '../jobs/job-requests.js';
import { jobCallerOf } from '../jobs/job-caller.js';
import { JobRows } from '../jobs/job-rows.js';
import { JobsService } from '../jobs/jobs.service.js';
import { AnswersAnything, AnswersText } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { PreheatTokenGuard } from './preheat-token.guard.js';
import { ENTRIES, ID_LIST } from '../rest/list-bounds.js';
import { JsonBody } from '../rest/request-decorators.js';
import {
  integerIn,
  optionalEntries,
  optionalList,
  optionalText,
  requestType,
  requiredText,
  type RequestOf,
} from '../rest/rest-schema.js';

/** What older Harbors and automation of the first API send. Further fields (image, digest) are not needed. */
const PreheatRequest = requestType(
  'CreateV1PreheatRequest',
  z.object({
    type: requiredText({ oneOf: ['image', 'file'] }),
    url: requiredText({ max: 8192 }),
    filter: optionalText(),
    // Harbor's may hold anything; what is no text is no header.
    headers: optionalEntries(z.unknown(), ENTRIES),
    scope: optionalText({ oneOf: PREHEAT_SCOPES }),
    extra_attrs: z.object({ cluster_ids: optionalList(z.int().min(0), ID_LIST) }).nullish(),
  }),
);

/** How far a preheat is, in the words of the first API. */
interface PreheatBody {
  id: string;
  ID: string;
  status: 'WAITING' | 'RUNNING' | 'SUCCESS' | 'FAIL';
  startTime: string;
  finishTime?: string;
  errorMsg?: string;
}

/**
 * The first preheat API, which Harbor before 2.13 calls: `_ping`, `preheats`. The original took it away because nobody had
 * to sign in for it; here it wants a personal access token with the scope `job`, as bearer or as the password of Basic
 * authentication, which are the two ways that Harbor's provider settings know.
 */
@ApiTags('Preheat (first API)')
@Public()
@Controller()
export class PreheatsController {
  constructor(
    private readonly jobs: JobsService,
    private readonly rows: JobRows,
    private readonly admission: JobAdmission,
  ) {}

  @Get('_ping')
  @AnswersText('the text OK')
  ping(): string {
    return 'OK';
  }

  @Post('preheats')
  @UseGuards(PreheatTokenGuard)
  @AnswersAnything('the id of the job: {"id":"1","ID":"1"}')
  @HttpCode(200)
  async create(
    @JsonBody(PreheatRequest) body: RequestOf<typeof PreheatRequest>,
    @Req() request: FastifyRequest,
  ): Promise<{ id: string; ID: string }> {
    const caller = callerOf(request);
    const headers = Object.entries(body.headers ?? {}).filter(
      (header): header is [string, string] => typeof header[1] === 'string',
    );
    const args: Partial<PreheatArgs> & Pick<PreheatArgs, 'type' | 'url'> = {
      type: body.type,
      url: body.url,
      filtered_query_params: body.filter,
      headers: Object.fromEntries(headers),
      scope: body.scope,
    };
    const clusterIds = body.extra_attrs?.cluster_ids ?? undefined;
    await this.admission.admit(caller, clusterIds);
    const { id } = await this.jobs.preheat({ args: args as PreheatArgs, scheduler_cluster_ids: clusterIds }, caller);
    return { id: String(id), ID: String(id) };
  }

  @Get('preheats/:id')
  @UseGuards(PreheatTokenGuard)
  @AnswersAnything('id, status (WAITING, RUNNING, SUCCESS, FAIL), startTime, finishTime, errorMsg')
  async get(@Param('id') id: string, @Req() request: FastifyRequest): Promise<PreheatBody> {
    const number = integerIn(id, 'ParseUint');
    const { type } = await this.jobs.get(typeof number === 'number' ? number : 0, jobCallerOf(request));
    const row = type === 'preheat' ? await this.rows.find(Number(number)) : undefined;
    if (!row) {
      throw new DfError('not-found', 'record not found');
    }
    const { job, run } = row;
    const isOver = job.state !== 'PENDING';
    const status = job.state === 'SUCCESS' ? 'SUCCESS' : isOver ? 'FAIL' : run.startedAt ? 'RUNNING' : 'WAITING';
    return {
      id: String(job.id),
      ID: String(job.id),
      status,
      startTime: jsonTime(job.createdAt),
      ...(isOver ? { finishTime: jsonTime(run.finishedAt ?? job.updatedAt) } : {}),
      ...(status === 'FAIL' ? { errorMsg: errorOf(job.result) } : {}),
    };
  }
}

function errorOf(result: Readonly<Record<string, unknown>>): string {
  const states = Array.isArray(result['job_states']) ? (result['job_states'] as { error?: unknown }[]) : [];
  return states
    .map(({ error }) => error)
    .filter((error) => typeof error === 'string' && error !== '')
    .join('; ');
}
