import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ForTenants } from '../auth/route-rules.js';
import { z } from 'zod';
import { AnswersList } from '../rest/answers.js';
import { SCHEDULER_FEATURES } from './scheduler-features.js';

@ApiTags('Scheduler')
@ForTenants('open')
@Controller('api/v1/scheduler-features')
export class SchedulerFeaturesController {
  @Get()
  @AnswersList(z.string())
  list(): readonly string[] {
    return SCHEDULER_FEATURES;
  }
}
