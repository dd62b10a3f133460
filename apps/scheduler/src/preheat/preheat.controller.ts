import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { DeepPartial, Empty, schedulerV2 } from '@dragonfly/proto';
import { contextOf, type RawCall } from '@dragonfly/rpc/nest';
import { SchedulerCore } from '../scheduler-core.js';

const SERVICE = 'Scheduler';

/** The methods of scheduler.v2.Scheduler that fetch content ahead, and say where it is. */
@Controller()
export class PreheatController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcMethod(SERVICE, 'PreheatImage')
  async preheatImage(request: schedulerV2.PreheatImageRequest, _metadata: unknown, call: RawCall): Promise<Empty> {
    await this.core.jobs.preheat.preheatImage(request, contextOf(call).signal);
    return {};
  }

  @GrpcMethod(SERVICE, 'StatImage')
  statImage(
    request: schedulerV2.StatImageRequest,
    _metadata: unknown,
    call: RawCall,
  ): Promise<DeepPartial<schedulerV2.StatImageResponse>> {
    return this.core.jobs.preheat.statImage(request, contextOf(call).signal);
  }

  @GrpcMethod(SERVICE, 'PreheatFile')
  async preheatFile(request: schedulerV2.PreheatFileRequest, _metadata: unknown, call: RawCall): Promise<Empty> {
    await this.core.jobs.preheat.preheatFile(request, contextOf(call).signal);
    return {};
  }

  @GrpcMethod(SERVICE, 'StatFile')
  statFile(
    request: schedulerV2.StatFileRequest,
    _metadata: unknown,
    call: RawCall,
  ): Promise<DeepPartial<schedulerV2.StatFileResponse>> {
    return this.core.jobs.preheat.statFile(request, contextOf(call).signal);
  }
}
