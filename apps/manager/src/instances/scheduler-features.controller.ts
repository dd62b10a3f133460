import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ForTenants } from '../auth/route-rules.js';
import { SCHEDULER_FEATURES } from './scheduler-features.js';

@ApiTags('Scheduler')
@ForTenants('open')
@Controller('api/v1/scheduler-features')
export class SchedulerFeaturesController {
  @Get()
  list(): readonly string[] {
    return SCHEDULER_FEATURES;
  }
}
