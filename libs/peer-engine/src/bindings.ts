import { dfdaemonV2 } from '@dragonfly/proto';
import { handleServerStream, handleUnary, type GrpcServiceBinding, type RpcLog } from '@dragonfly/rpc';
import { DOWNLOAD_HEADERS_WITHIN_MS, type DownloadService } from './download-service/download-service.js';
import type { UploadService } from './upload/upload-service.js';

/** The upload service for a server without a framework. Methods left out answer UNIMPLEMENTED. */
export function uploadBinding(service: UploadService, log: RpcLog): GrpcServiceBinding {
  return {
    service: dfdaemonV2.DfdaemonUploadService,
    implementation: {
      downloadTask: handleServerStream(service.downloadTask.bind(service), log),
      syncPieces: handleServerStream(service.syncPieces.bind(service), log),
      syncHost: handleServerStream(service.syncHost.bind(service), log),
      statTask: handleUnary(service.statTask.bind(service), log),
      statLocalTask: handleUnary(service.statLocalTask.bind(service), log),
      listTaskEntries: handleUnary(service.listTaskEntries.bind(service), log),
      deleteTask: handleUnary(service.deleteTask.bind(service), log),
    },
  };
}

/** The download service for a server without a framework. Methods left out answer UNIMPLEMENTED. */
export function downloadBinding(service: DownloadService, log: RpcLog): GrpcServiceBinding {
  return {
    service: dfdaemonV2.DfdaemonDownloadService,
    implementation: {
      downloadTask: handleServerStream(service.downloadTask.bind(service), log, {
        headersWithinMs: DOWNLOAD_HEADERS_WITHIN_MS,
      }),
      statTask: handleUnary(service.statTask.bind(service), log),
      statLocalTask: handleUnary(service.statLocalTask.bind(service), log),
      listLocalTasks: handleUnary(service.listLocalTasks.bind(service), log),
      listTaskEntries: handleUnary(service.listTaskEntries.bind(service), log),
      deleteTask: handleUnary(service.deleteTask.bind(service), log),
      deleteLocalTask: handleUnary(service.deleteLocalTask.bind(service), log),
      deleteHost: handleUnary(service.deleteHost.bind(service), log),
    },
  };
}
