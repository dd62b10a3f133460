import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import type { commonV2, Empty, schedulerV2 } from '@dragonfly/proto';
import { serveStream } from '@dragonfly/rpc';
import { counted } from '../metrics/call-counters.js';
import type { DurableEngine } from '../persistent/durable-engine.js';
import {
  persistentCachePeerRecord,
  persistentCacheTaskRecord,
  persistentCacheUpload,
  persistentCacheWire,
} from '../persistent/durable-wire.js';
import { SchedulerCore } from '../scheduler-core.js';

const SERVICE = 'Scheduler';

/** scheduler.v2.Scheduler for persistent cache tasks. */
@Controller()
export class PersistentCacheController {
  readonly #engine: DurableEngine;
  readonly #metrics: SchedulerCore['state']['metrics']['persistentCache'];

  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {
    this.#engine = core.durable.persistentCache;
    this.#metrics = core.state.metrics.persistentCache;
  }

  @GrpcStreamCall(SERVICE, 'AnnouncePersistentCachePeer')
  announcePersistentCachePeer(
    call: ServerDuplexStream<
      schedulerV2.AnnouncePersistentCachePeerRequest,
      schedulerV2.AnnouncePersistentCachePeerResponse
    >,
  ): Promise<void> {
    return serveStream<schedulerV2.AnnouncePersistentCachePeerRequest, schedulerV2.AnnouncePersistentCachePeerResponse>(
      call,
      (stream) => {
        this.#engine.announce(stream, persistentCacheWire);
      },
      this.core.state.log,
    );
  }

  @GrpcMethod(SERVICE, 'StatPersistentCachePeer')
  statPersistentCachePeer(request: schedulerV2.StatPersistentCachePeerRequest): Promise<commonV2.PersistentCachePeer> {
    return counted(this.#metrics.statPeer, async () =>
      persistentCachePeerRecord(await this.#engine.tasks.statPeer(request.peerId)),
    );
  }

  @GrpcMethod(SERVICE, 'DeletePersistentCachePeer')
  deletePersistentCachePeer(request: schedulerV2.DeletePersistentCachePeerRequest): Promise<Empty> {
    return counted(this.#metrics.deletePeer, async () => {
      await this.#engine.tasks.deletePeer(request);
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'UploadPersistentCacheTaskStarted')
  uploadPersistentCacheTaskStarted(request: schedulerV2.UploadPersistentCacheTaskStartedRequest): Promise<Empty> {
    return counted(this.#metrics.uploadTaskStarted, async () => {
      await this.#engine.tasks.uploadStarted(persistentCacheUpload(request));
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'UploadPersistentCacheTaskFinished')
  uploadPersistentCacheTaskFinished(
    request: schedulerV2.UploadPersistentCacheTaskFinishedRequest,
  ): Promise<commonV2.PersistentCacheTask> {
    return counted(this.#metrics.uploadTaskFinished, async () =>
      persistentCacheTaskRecord(await this.#engine.tasks.uploadFinished(request)),
    );
  }

  @GrpcMethod(SERVICE, 'UploadPersistentCacheTaskFailed')
  uploadPersistentCacheTaskFailed(request: schedulerV2.UploadPersistentCacheTaskFailedRequest): Promise<Empty> {
    return counted(this.#metrics.uploadTaskFailed, async () => {
      await this.#engine.tasks.uploadFailed(request, request.description);
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'StatPersistentCacheTask')
  statPersistentCacheTask(request: schedulerV2.StatPersistentCacheTaskRequest): Promise<commonV2.PersistentCacheTask> {
    return counted(this.#metrics.statTask, async () =>
      persistentCacheTaskRecord(await this.#engine.tasks.statTask(request.taskId)),
    );
  }

  @GrpcMethod(SERVICE, 'DeletePersistentCacheTask')
  deletePersistentCacheTask(request: schedulerV2.DeletePersistentCacheTaskRequest): Promise<Empty> {
    return counted(this.#metrics.deleteTask, async () => {
      await this.#engine.tasks.deleteTask(request.taskId);
      return {};
    });
  }
}
