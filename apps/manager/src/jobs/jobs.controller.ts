import { violationText, type RequestOf, type RequestType } from '../rest/rest-schema.js';
import { Controller, Delete, Get, HttpCode, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DfError } from '@dragonfly/errors';
import { callerOf } from '../auth/caller.js';
import { ForTenants } from '../auth/route-rules.js';
import { GcService } from '../gc/gc.service.js';
import {
  ImageDistributionService,
  type ImageDistributionBody,
} from '../image-distribution/image-distribution.service.js';
import { PeerSync } from '../peers/peer-sync.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, invalidRequest, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { JobAdmission } from './job-admission.js';
import { JobBody } from './job-body.js';
import { Answers, AnswersAnything, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { jobCallerOf } from './job-caller.js';
import { JobMetrics } from './job-metrics.js';
import {
  CreateDeleteTaskJobRequest,
  CreateGCJobRequest,
  CreateGetImageDistributionJobRequest,
  CreateGetTaskJobRequest,
  CreateJobRequest,
  CreatePreheatJobRequest,
  CreateSyncPeersJobRequest,
  GetJobsQuery,
  isJobType,
  JOB_REQUESTS,
  UpdateJobRequest,
} from './job-requests.js';
import { JobsService } from './jobs.service.js';

/** Jobs, for sessions and for personal access tokens. */
@ApiTags('Job')
@ForTenants('scoped')
@Controller(['api/v1/jobs', 'oapi/v1/jobs'])
export class JobsController {
  constructor(
    private readonly jobs: JobsService,
    private readonly distribution: ImageDistributionService,
    private readonly gc: GcService,
    private readonly peers: PeerSync,
    private readonly admission: JobAdmission,
    private readonly metrics: JobMetrics,
  ) {}

  @Post()
  @AnswersAnything('the job; for get_image_distribution where the layers are; for sync_peers the text OK')
  @HttpCode(200)
  async create(
    @JsonBody(CreateJobRequest, Object.values(JOB_REQUESTS)) body: RequestOf<typeof CreateJobRequest>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobBody | ImageDistributionBody | string> {
    const { type } = body;
    if (!isJobType(type)) {
      throw invalidRequest('Unknow type');
    }
    const caller = callerOf(request);
    await this.admission.admit(caller, body.scheduler_cluster_ids);
    return this.metrics.countCreation(type, async () => {
      switch (type) {
        case 'preheat':
          return this.jobs.preheat(checked(CreatePreheatJobRequest, body), caller);
        case 'get_task':
          return this.jobs.task(type, checked(CreateGetTaskJobRequest, body), caller);
        case 'delete_task':
          return this.jobs.task(type, checked(CreateDeleteTaskJobRequest, body), caller);
        case 'get_image_distribution':
          return this.distribution.find(checked(CreateGetImageDistributionJobRequest, body), caller);
        case 'gc': {
          const { args, user_id } = checked(CreateGCJobRequest, body);
          if (!caller.scope.isUnlimited) {
            throw new DfError('permission-denied', 'garbage collection is about the whole system');
          }
          return this.gc.runNow(args.type as 'audit' | 'job', user_id || caller.userId);
        }
        case 'sync_peers': {
          const { scheduler_cluster_ids } = checked(CreateSyncPeersJobRequest, body);
          await this.peers.sync(caller.scope.clustersOf(scheduler_cluster_ids));
          void reply.type('application/json; charset=utf-8');
          return JSON.stringify('OK');
        }
      }
    });
  }

  @Get()
  @AnswersPage(JobBody)
  async list(
    @QueryOf(GetJobsQuery) query: RequestOf<typeof GetJobsQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobBody[]> {
    return listAnswer(request, reply, query, await this.jobs.list(query, jobCallerOf(request)));
  }

  @Get(':id')
  @Answers(JobBody)
  get(@IdParam() id: number, @Req() request: FastifyRequest): Promise<JobBody> {
    return this.jobs.get(id, jobCallerOf(request));
  }

  @Patch(':id')
  @Answers(JobBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateJobRequest) body: RequestOf<typeof UpdateJobRequest>,
    @Req() request: FastifyRequest,
  ): Promise<JobBody> {
    return this.jobs.update(id, body, jobCallerOf(request));
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number, @Req() request: FastifyRequest): Promise<void> {
    return this.jobs.delete(id, jobCallerOf(request));
  }

  /** Ends a running job; its work at the schedulers is aborted. Ours. */
  @Post(':id/cancel')
  @Answers(JobBody)
  @HttpCode(200)
  cancel(@IdParam() id: number, @Req() request: FastifyRequest): Promise<JobBody> {
    return this.jobs.cancel(id, jobCallerOf(request));
  }

  /** Runs a failed job again, under its id. Ours. */
  @Post(':id/retry')
  @Answers(JobBody)
  @HttpCode(200)
  async retry(@IdParam() id: number, @Req() request: FastifyRequest): Promise<JobBody> {
    await this.admission.charge(callerOf(request));
    return this.jobs.retry(id, jobCallerOf(request));
  }
}

function checked<T extends RequestType>(type: T, body: unknown): RequestOf<T> {
  const parsed = type.schema.safeParse(body);
  if (!parsed.success) {
    throw invalidRequest(violationText(type.name, parsed.error.issues));
  }
  return parsed.data as RequestOf<T>;
}
