import type { ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { UploadService } from '@dragonfly/peer-engine';
import type { commonV2, DeepPartial, dfdaemonV2 } from '@dragonfly/proto';
import type { Observable } from 'rxjs';
import { contextOf, streamOut, type RawCall } from '@dragonfly/rpc/nest';

const SERVICE = 'DfdaemonUpload';

/** Token of the engine's upload service. */
export const UPLOAD_SERVICE = Symbol('UploadService');

/** dfdaemon.v2.DfdaemonUpload: hands every call to the engine. */
@Controller()
export class UploadController {
  constructor(@Inject(UPLOAD_SERVICE) private readonly service: UploadService) {}

  @GrpcMethod(SERVICE, 'DownloadTask')
  downloadTask(
    _request: dfdaemonV2.DownloadTaskRequest,
    _metadata: unknown,
    call: ServerWritableStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => this.service.downloadTask(request, stream));
  }

  @GrpcMethod(SERVICE, 'SyncPieces')
  syncPieces(
    _request: dfdaemonV2.SyncPiecesRequest,
    _metadata: unknown,
    call: ServerWritableStream<dfdaemonV2.SyncPiecesRequest, dfdaemonV2.SyncPiecesResponse>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => this.service.syncPieces(request, stream));
  }

  @GrpcMethod(SERVICE, 'SyncHost')
  syncHost(
    _request: dfdaemonV2.SyncHostRequest,
    _metadata: unknown,
    call: ServerWritableStream<dfdaemonV2.SyncHostRequest, commonV2.Host>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => this.service.syncHost(request, stream));
  }

  @GrpcMethod(SERVICE, 'StatTask')
  statTask(request: dfdaemonV2.StatTaskRequest, _metadata: unknown, call: RawCall): Promise<commonV2.Task> {
    return this.service.statTask(request, contextOf(call));
  }

  @GrpcMethod(SERVICE, 'StatLocalTask')
  statLocalTask(request: dfdaemonV2.StatLocalTaskRequest): Promise<dfdaemonV2.StatLocalTaskResponse> {
    return this.service.statLocalTask(request);
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
}
