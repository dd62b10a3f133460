import 'reflect-metadata';
import type { INestMicroservice, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { PeerEngine } from '@dragonfly/peer-engine';
import { dfdaemonV2 } from '@dragonfly/proto';
import { GrpcExceptionFilter, nestGrpcOptions, type NestGrpcServer } from '@dragonfly/rpc/nest';
import type { Logger } from '@dragonfly/telemetry';
import { DOWNLOAD_SERVICE, DownloadController } from './download.controller.js';
import { UPLOAD_SERVICE, UploadController } from './upload.controller.js';

/** Running calls are cut after this when the daemon stops. */
const STOP_GRACE_MS = 1000;

/** The gRPC servers of the daemon: uploads on TCP, downloads on a unix socket. */
export class GrpcShell {
  private constructor(
    private readonly apps: readonly INestMicroservice[],
    /** TCP port of the upload service. */
    readonly uploadPort: number,
  ) {}

  /** @throws DfError when an address cannot be had */
  static async start(engine: PeerEngine, log: Logger): Promise<GrpcShell> {
    const { grpc } = engine;
    const uploadServer = nestGrpcOptions({
      services: [{ name: 'dfdaemon.v2.DfdaemonUpload', definition: dfdaemonV2.DfdaemonUploadService }],
      url: grpc.uploadAddress,
      requestRateLimit: grpc.requestsPerSecond.upload,
      graceMs: STOP_GRACE_MS,
      log,
      ...(grpc.uploadTls === undefined ? {} : { tls: grpc.uploadTls }),
    });
    const downloadServer = nestGrpcOptions({
      services: [{ name: 'dfdaemon.v2.DfdaemonDownload', definition: dfdaemonV2.DfdaemonDownloadService }],
      url: grpc.downloadAddress,
      requestRateLimit: grpc.requestsPerSecond.download,
      socketMode: grpc.downloadSocketMode,
      graceMs: STOP_GRACE_MS,
      log,
    });
    const apps: INestMicroservice[] = [];
    try {
      apps.push(await listen(UploadController, UPLOAD_SERVICE, engine.upload, uploadServer, log));
      apps.push(await listen(DownloadController, DOWNLOAD_SERVICE, engine.download, downloadServer, log));
    } catch (error) {
      await Promise.all(apps.map((app) => app.close()));
      throw error;
    }
    return new GrpcShell(apps, uploadServer.strategy.ports[0] ?? 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.close()));
  }
}

async function listen(
  controller: Type<unknown>,
  token: symbol,
  service: object,
  options: { readonly strategy: NestGrpcServer },
  log: Logger,
): Promise<INestMicroservice> {
  const app = await NestFactory.createMicroservice(
    {
      module: class GrpcModule {},
      controllers: [controller],
      providers: [{ provide: token, useValue: service }],
    },
    { ...options, logger: false, abortOnError: false },
  );
  app.useGlobalFilters(new GrpcExceptionFilter(log));
  await app.listen();
  return app;
}
