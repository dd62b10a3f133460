import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { jobCallerOf } from '../jobs/job-caller.js';
import { AnswersAnything } from '../rest/answers.js';
import { invalidRequest } from '../rest/request-decorators.js';
import { matchesAny } from '../triggers/name-pattern.js';
import type { WatchSpec } from '../triggers/trigger-requests.js';
import { TriggerRuns } from '../triggers/trigger-runs.js';
import { TriggersService } from '../triggers/triggers.service.js';
import { pushEvents } from './push-events.js';

/**
 * Where registries tell of pushes: each push that a push trigger is for is preheated with the trigger's arguments. The
 * image is fetched from the trigger's registry, whatever host the notification names: its credentials go nowhere else.
 */
@ApiTags('Job trigger')
@ForTenants('scoped')
@Controller('oapi/v1/jobs/hooks')
export class RegistryHookController {
  constructor(
    private readonly triggers: TriggersService,
    private readonly runs: TriggerRuns,
  ) {}

  @Post(':name')
  @AnswersAnything('the ids of the jobs that were started: {"job_ids":[1]}')
  @HttpCode(200)
  async notify(
    @Param('name') name: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
  ): Promise<{ job_ids: number[] }> {
    const row = await this.triggers.pushTrigger(name, jobCallerOf(request));
    const events = pushEvents(body);
    if (!events) {
      throw invalidRequest('the body is no notification of a Docker registry or of Harbor');
    }
    const { url, repositories, tags } = row.watch as unknown as WatchSpec;
    const jobIds: number[] = [];
    for (const { repository, tag } of events) {
      if (matchesAny(repository, repositories) && matchesAny(tag, tags)) {
        const manifest = `${new URL(url).origin}/v2/${repository}/manifests/${tag}`;
        jobIds.push(await this.runs.push(row, manifest));
      }
    }
    return { job_ids: jobIds };
  }
}
