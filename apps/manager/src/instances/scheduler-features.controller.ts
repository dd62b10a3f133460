import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { SCHEDULER_FEATURES } from './scheduler-features.js';

@ApiTags('Scheduler')
@Controller('api/v1/scheduler-features')
export class SchedulerFeaturesController {
  @Get()
  list(): readonly string[] {
    return SCHEDULER_FEATURES;
  }
}
