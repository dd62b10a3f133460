import type { GrpcServiceBinding } from '@dragonfly/rpc';
import type { Readiness } from '@dragonfly/telemetry';
import { assemble, type Assembly } from './assembly.js';
import { downloadBinding, uploadBinding } from './bindings.js';
import type { DownloadService } from './download-service/download-service.js';
import type { GrpcEndpoints, PeerEngineOptions } from './engine-options.js';
import type { HostIdentity } from './host/identity.js';
import type { PeerMetrics } from './metrics.js';
import type { RoleProfile } from './role-profile.js';
import type { UploadService } from './upload/upload-service.js';

/**
 * The daemon without its gRPC server. `start` opens the store, the piece server and the socket of dfget: from then on
 * downloads work. Whoever owns the engine serves `upload` and `download` over gRPC and then calls `join`.
 */
export class PeerEngine {
  private stopping: Promise<void> | undefined;

  private constructor(
    private readonly options: PeerEngineOptions,
    private readonly parts: Assembly,
  ) {}

  /** @throws DfError when the store, a port or a socket cannot be had; everything opened by then is closed again */
  static async start(options: PeerEngineOptions): Promise<PeerEngine> {
    return new PeerEngine(options, await assemble(options));
  }

  /** The role it really has; see `effectiveProfile`. */
  get profile(): RoleProfile {
    return this.parts.profile;
  }

  get identity(): HostIdentity {
    return this.parts.identity;
  }

  get readiness(): Readiness {
    return this.parts.readiness;
  }

  get metrics(): PeerMetrics {
    return this.parts.metrics;
  }

  /** `dfdaemon.v2.DfdaemonUpload`, free of any transport. */
  get upload(): UploadService {
    return this.parts.upload;
  }

  /** `dfdaemon.v2.DfdaemonDownload`, free of any transport. */
  get download(): DownloadService {
    return this.parts.download;
  }

  /** Where the two services are to be served. */
  get grpc(): GrpcEndpoints {
    return this.parts.grpc;
  }

  get piecePort(): number {
    return this.parts.data.pieceServer.port;
  }

  get healthPort(): number {
    return this.parts.status.healthPort;
  }

  get metricsPort(): number {
    return this.parts.status.metricsPort;
  }

  /** Both services for a server without a framework. */
  bindings(): { readonly upload: GrpcServiceBinding; readonly download: GrpcServiceBinding } {
    const { log } = this.options;
    return { upload: uploadBinding(this.upload, log), download: downloadBinding(this.download, log) };
  }

  /** Looks at the cluster and announces this host. The gRPC server must serve. @param uploadPort its TCP port */
  async join(uploadPort: number): Promise<void> {
    const { announced, readiness, membership, gc } = this.parts;
    announced.port = uploadPort;
    readiness.set('grpc-serving', true, `upload port ${uploadPort}`);
    await membership.join(uploadPort);
    gc.start();
  }

  /** Ends downloads, leaves the cluster, closes everything but the gRPC server, which is its owner's. */
  async stop(): Promise<void> {
    this.stopping ??= this.parts.close();
    return this.stopping;
  }
}
