import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import type { commonV2, Empty, schedulerV2 } from '@dragonfly/proto';
import { serveStream } from '@dragonfly/rpc';
import { SchedulerCore } from '../scheduler-core.js';

const SERVICE = 'Scheduler';

/** scheduler.v2.Scheduler for standard tasks. */
@Controller()
export class SchedulerController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcStreamCall(SERVICE, 'AnnouncePeer')
  announcePeer(
    call: ServerDuplexStream<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>,
  ): Promise<void> {
    return serveStream<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
      call,
      (stream) => {
        this.core.announcePeer(stream);
      },
      this.core.state.log,
    );
  }

  @GrpcMethod(SERVICE, 'StatPeer')
  statPeer(request: schedulerV2.StatPeerRequest): commonV2.Peer {
    return this.core.stat.statPeer(request);
  }

  @GrpcMethod(SERVICE, 'DeletePeer')
  deletePeer(request: schedulerV2.DeletePeerRequest): Empty {
    this.core.stat.deletePeer(request);
    return {};
  }

  @GrpcMethod(SERVICE, 'StatTask')
  statTask(request: schedulerV2.StatTaskRequest): commonV2.Task {
    return this.core.stat.statTask(request);
  }

  @GrpcMethod(SERVICE, 'DeleteTask')
  deleteTask(request: schedulerV2.DeleteTaskRequest): Empty {
    this.core.stat.deleteTask(request);
    return {};
  }

  @GrpcMethod(SERVICE, 'AnnounceHost')
  announceHost(request: schedulerV2.AnnounceHostRequest): Empty {
    this.core.hosts.announce(request);
    return {};
  }

  @GrpcMethod(SERVICE, 'ListHosts')
  listHosts(request: schedulerV2.ListHostsRequest): schedulerV2.ListHostsResponse {
    return { hosts: this.core.hosts.list(request) };
  }

  @GrpcMethod(SERVICE, 'DeleteHost')
  deleteHost(request: schedulerV2.DeleteHostRequest): Empty {
    this.core.hosts.delete(request);
    return {};
  }
}
