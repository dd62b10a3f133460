import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcStreamCall } from '@nestjs/microservices';
import type { extSource } from '@dragonfly/proto';
import { serveStream } from '@dragonfly/rpc';
import { SchedulerCore } from '../scheduler-core.js';

/** dragonfly.ext.v1.SourceService. */
@Controller()
export class SourceController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcStreamCall('SourceService', 'HoldSource')
  holdSource(call: ServerDuplexStream<extSource.HoldSourceRequest, extSource.SourceGrant>): Promise<void> {
    return serveStream<extSource.HoldSourceRequest, extSource.SourceGrant>(
      call,
      (stream) => {
        this.core.source.hold(stream);
      },
      this.core.state.log,
    );
  }
}
