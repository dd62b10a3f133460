import { Controller, Get, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { jobCallerOf } from '../jobs/job-caller.js';
import { Answers } from '../rest/answers.js';
import { IdParam, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { BandwidthBody, GetBandwidthQuery, MeteringService } from './metering.service.js';

/** Transferred bytes over time. Ours; below the clusters, so that who may read those may read this. */
@ApiTags('Metering')
@ForTenants('scoped')
@Controller(['api/v1/clusters', 'oapi/v1/clusters'])
export class MeteringController {
  constructor(private readonly metering: MeteringService) {}

  @Get(':id/bandwidth')
  @Answers(BandwidthBody)
  bandwidth(
    @IdParam() id: number,
    @QueryOf(GetBandwidthQuery) query: RequestOf<typeof GetBandwidthQuery>,
    @Req() request: FastifyRequest,
  ): Promise<BandwidthBody> {
    return this.metering.bandwidth(id, query, jobCallerOf(request));
  }
}
