import type { ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { DOWNLOAD_HEADERS_WITHIN_MS, type DownloadService } from '@dragonfly/peer-engine';
import type { commonV2, DeepPartial, dfdaemonV2 } from '@dragonfly/proto';
import type { Observable } from 'rxjs';
import { contextOf, streamOut, type RawCall } from '@dragonfly/rpc/nest';

const SERVICE = 'DfdaemonDownload';

/** Token of the engine's download service. */
export const DOWNLOAD_SERVICE = Symbol('DownloadService');

/** dfdaemon.v2.DfdaemonDownload: hands every call to the engine. */
@Controller()
export class DownloadController {
  constructor(@Inject(DOWNLOAD_SERVICE) private readonly service: DownloadService) {}

  @GrpcMethod(SERVICE, 'DownloadTask')
  downloadTask(
    _request: dfdaemonV2.DownloadTaskRequest,
    _metadata: unknown,
    call: ServerWritableStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => this.service.downloadTask(request, stream), {
      headersWithinMs: DOWNLOAD_HEADERS_WITHIN_MS,
    });
  }

  @GrpcMethod(SERVICE, 'StatTask')
  statTask(request: dfdaemonV2.StatTaskRequest, _metadata: unknown, call: RawCall): Promise<commonV2.Task> {
    return this.service.statTask(request, contextOf(call));
  }

  @GrpcMethod(SERVICE, 'StatLocalTask')
  statLocalTask(request: dfdaemonV2.StatLocalTaskRequest): Promise<dfdaemonV2.StatLocalTaskResponse> {
    return this.service.statLocalTask(request);
  }

  @GrpcMethod(SERVICE, 'ListLocalTasks')
  listLocalTasks(): Promise<dfdaemonV2.ListLocalTasksResponse> {
    return this.service.listLocalTasks();
  }

  @GrpcMethod(SERVICE, 'ListTaskEntries')
  listTaskEntries(
    request: dfdaemonV2.ListTaskEntriesRequest,
  ): Promise<DeepPartial<dfdaemonV2.ListTaskEntriesResponse>> {
    return this.service.listTaskEntries(request);
  }

  @GrpcMethod(SERVICE, 'DeleteTask')
  deleteTask(request: dfdaemonV2.DeleteTaskRequest, _metadata: unknown, call: RawCall): Promise<object> {
    return this.service.deleteTask(request, contextOf(call));
  }

  @GrpcMethod(SERVICE, 'DeleteLocalTask')
  deleteLocalTask(request: dfdaemonV2.DeleteLocalTaskRequest): Promise<object> {
    return this.service.deleteLocalTask(request);
  }

  @GrpcMethod(SERVICE, 'DeleteHost')
  deleteHost(): Promise<object> {
    return this.service.deleteHost();
  }
}
