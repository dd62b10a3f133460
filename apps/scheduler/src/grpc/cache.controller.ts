import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import type { commonV2, Empty, schedulerV2 } from '@dragonfly/proto';
import { serveStream } from '@dragonfly/rpc';
import { asAnnounceCall } from '../announce/cache-call.js';
import { SchedulerCore } from '../scheduler-core.js';

const SERVICE = 'Scheduler';

/** scheduler.v2.Scheduler for cache tasks: the records are those of standard tasks under other names. */
@Controller()
export class CacheController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcStreamCall(SERVICE, 'AnnounceCachePeer')
  announceCachePeer(
    call: ServerDuplexStream<schedulerV2.AnnounceCachePeerRequest, schedulerV2.AnnounceCachePeerResponse>,
  ): Promise<void> {
    return serveStream<schedulerV2.AnnounceCachePeerRequest, schedulerV2.AnnounceCachePeerResponse>(
      call,
      (stream) => {
        this.core.announcePeer(asAnnounceCall(stream), 'cache');
      },
      this.core.state.log,
    );
  }

  @GrpcMethod(SERVICE, 'StatCachePeer')
  statCachePeer(request: schedulerV2.StatCachePeerRequest): commonV2.CachePeer {
    return this.core.stat.statPeer(request, 'cache');
  }

  @GrpcMethod(SERVICE, 'DeleteCachePeer')
  deleteCachePeer(request: schedulerV2.DeleteCachePeerRequest): Empty {
    this.core.stat.deletePeer(request, 'cache');
    return {};
  }

  @GrpcMethod(SERVICE, 'StatCacheTask')
  statCacheTask(request: schedulerV2.StatCacheTaskRequest): commonV2.CacheTask {
    return this.core.stat.statTask(request, 'cache');
  }

  @GrpcMethod(SERVICE, 'DeleteCacheTask')
  deleteCacheTask(request: schedulerV2.DeleteCacheTaskRequest): Empty {
    this.core.stat.deleteTask(request, 'cache');
    return {};
  }
}
