import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { extPush } from '@dragonfly/proto';
import { streamOut } from '@dragonfly/rpc/nest';
import type { Observable } from 'rxjs';
import { SchedulerCore } from '../scheduler-core.js';

/** dragonfly.ext.v1.PushService. */
@Controller()
export class PushController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcMethod('PushService', 'Subscribe')
  subscribe(
    _request: extPush.PushSubscribeRequest,
    _metadata: Metadata,
    call: ServerWritableStream<extPush.PushSubscribeRequest, extPush.Push>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => this.core.subscribers.serve(request, stream));
  }
}
