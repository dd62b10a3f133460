import type { ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { durationToMs, type extJobs } from '@dragonfly/proto';
import { streamOut } from '@dragonfly/rpc/nest';
import type { Observable } from 'rxjs';
import { SchedulerCore } from '../scheduler-core.js';
import { eventOfNews, specOfRequest } from './job-messages.js';

const SERVICE = 'JobService';

/** dragonfly.ext.v1.JobService. */
@Controller()
export class JobsController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  /** Tells a job from its beginning to its end; whoever goes away in between leaves it running. */
  @GrpcMethod(SERVICE, 'RunJob')
  runJob(
    _request: extJobs.RunJobRequest,
    _metadata: unknown,
    call: ServerWritableStream<extJobs.RunJobRequest, extJobs.JobEvent>,
  ): Observable<never> {
    return streamOut(call, async (request, stream) => {
      const timeoutMs = request.timeout === undefined ? 0 : durationToMs(request.timeout);
      const run = this.core.jobs.runner.start(request.jobId, specOfRequest(request), timeoutMs);
      for await (const news of run.follow(stream.signal)) {
        await stream.sendWhenWritable(eventOfNews(run.id, news, new Date()));
      }
    });
  }

  @GrpcMethod(SERVICE, 'CancelJob')
  cancelJob(request: extJobs.CancelJobRequest): extJobs.CancelJobResponse {
    this.core.jobs.runner.cancel(request.jobId);
    return {};
  }
}
