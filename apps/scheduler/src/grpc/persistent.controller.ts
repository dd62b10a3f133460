import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import type { commonV2, Empty, schedulerV2 } from '@dragonfly/proto';
import { serveStream } from '@dragonfly/rpc';
import { counted } from '../metrics/call-counters.js';
import type { DurableEngine } from '../persistent/durable-engine.js';
import {
  persistentPeerRecord,
  persistentTaskRecord,
  persistentUpload,
  persistentWire,
} from '../persistent/durable-wire.js';
import { SchedulerCore } from '../scheduler-core.js';

const SERVICE = 'Scheduler';

/** scheduler.v2.Scheduler for persistent tasks. */
@Controller()
export class PersistentController {
  readonly #engine: DurableEngine;
  readonly #metrics: SchedulerCore['state']['metrics']['persistent'];

  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {
    this.#engine = core.durable.persistent;
    this.#metrics = core.state.metrics.persistent;
  }

  @GrpcStreamCall(SERVICE, 'AnnouncePersistentPeer')
  announcePersistentPeer(
    call: ServerDuplexStream<schedulerV2.AnnouncePersistentPeerRequest, schedulerV2.AnnouncePersistentPeerResponse>,
  ): Promise<void> {
    return serveStream<schedulerV2.AnnouncePersistentPeerRequest, schedulerV2.AnnouncePersistentPeerResponse>(
      call,
      (stream) => {
        this.#engine.announce(stream, persistentWire);
      },
      this.core.state.log,
    );
  }

  @GrpcMethod(SERVICE, 'StatPersistentPeer')
  statPersistentPeer(request: schedulerV2.StatPersistentPeerRequest): Promise<commonV2.PersistentPeer> {
    return counted(this.#metrics.statPeer, async () =>
      persistentPeerRecord(await this.#engine.tasks.statPeer(request.peerId)),
    );
  }

  @GrpcMethod(SERVICE, 'DeletePersistentPeer')
  deletePersistentPeer(request: schedulerV2.DeletePersistentPeerRequest): Promise<Empty> {
    return counted(this.#metrics.deletePeer, async () => {
      await this.#engine.tasks.deletePeer(request);
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'UploadPersistentTaskStarted')
  uploadPersistentTaskStarted(request: schedulerV2.UploadPersistentTaskStartedRequest): Promise<Empty> {
    return counted(this.#metrics.uploadTaskStarted, async () => {
      await this.#engine.tasks.uploadStarted(persistentUpload(request));
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'UploadPersistentTaskFinished')
  uploadPersistentTaskFinished(
    request: schedulerV2.UploadPersistentTaskFinishedRequest,
  ): Promise<commonV2.PersistentTask> {
    return counted(this.#metrics.uploadTaskFinished, async () =>
      persistentTaskRecord(await this.#engine.tasks.uploadFinished(request)),
    );
  }

  @GrpcMethod(SERVICE, 'UploadPersistentTaskFailed')
  uploadPersistentTaskFailed(request: schedulerV2.UploadPersistentTaskFailedRequest): Promise<Empty> {
    return counted(this.#metrics.uploadTaskFailed, async () => {
      await this.#engine.tasks.uploadFailed(request, request.description);
      return {};
    });
  }

  @GrpcMethod(SERVICE, 'StatPersistentTask')
  statPersistentTask(request: schedulerV2.StatPersistentTaskRequest): Promise<commonV2.PersistentTask> {
    return counted(this.#metrics.statTask, async () =>
      persistentTaskRecord(await this.#engine.tasks.statTask(request.taskId)),
    );
  }

  @GrpcMethod(SERVICE, 'DeletePersistentTask')
  deletePersistentTask(request: schedulerV2.DeletePersistentTaskRequest): Promise<Empty> {
    return counted(this.#metrics.deleteTask, async () => {
      await this.#engine.tasks.deleteTask(request.taskId);
      return {};
    });
  }
}
