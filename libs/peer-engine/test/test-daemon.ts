import { LightClient, type DoneMessage, type LightDownloadRequest } from '@dragonfly/light';
import { dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, GrpcServer } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import type { TempDir } from '@dragonfly/testkit';
import { loadDaemonConfig, PEER_PROFILE, PeerEngine, type DaemonConfig, type RoleProfile } from '../src/index.js';

export interface TestDaemonOptions {
  readonly dir: TempDir;
  readonly name: string;
  readonly schedulers?: readonly string[];
  readonly profile?: RoleProfile;
  /** Laid over the defaults; `DRAGONFLY_…` names as in the environment. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly onIdle?: () => void;
}

/** A whole daemon in this process, on free ports and a directory of its own, with a plain gRPC server. */
export class TestDaemon {
  private stopped: Promise<void> | undefined;

  private constructor(
    readonly engine: PeerEngine,
    readonly config: DaemonConfig,
    private readonly servers: readonly GrpcServer[],
    readonly uploadPort: number,
  ) {}

  static async start(options: TestDaemonOptions): Promise<TestDaemon> {
    const { dir, name, schedulers = [], profile = PEER_PROFILE } = options;
    const { config } = loadDaemonConfig({
      account: { uid: 0, home: '' },
      env: {
        DRAGONFLY_HOST__IP: '127.0.0.1',
        DRAGONFLY_HOST__HOSTNAME: name,
        DRAGONFLY_UPLOAD__SERVER__PORT: '0',
        DRAGONFLY_STORAGE__SERVER__TCP_PORT: '0',
        DRAGONFLY_STORAGE__DIR: dir.file(name, 'store'),
        DRAGONFLY_SERVER__CACHE_DIR: dir.file(name, 'cache'),
        DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: dir.file(`${name}.sock`),
        DRAGONFLY_HEALTH__SERVER__PORT: '0',
        DRAGONFLY_METRICS__SERVER__PORT: '0',
        DRAGONFLY_DYNCONFIG__PATH: dir.file('no-such-dynconfig.yaml'),
        DRAGONFLY_SCHEDULER__ADDRS: JSON.stringify(schedulers),
        ...options.settings,
      },
    });
    const log = silentLogger();
    const engine = await PeerEngine.start({
      profile,
      config,
      log,
      version: '0.1.0',
      ...(options.onIdle === undefined ? {} : { onIdle: options.onIdle }),
    });
    const { upload, download } = engine.bindings();
    const server = await GrpcServer.start({ services: [upload], addresses: ['127.0.0.1:0'], log });
    const local = await GrpcServer.start({ services: [download], addresses: [engine.grpc.downloadAddress], log });
    const uploadPort = server.ports[0] ?? 0;
    await engine.join(uploadPort);
    const daemon = new TestDaemon(engine, config, [server, local], uploadPort);
    if (schedulers.length > 0) await engine.readiness.whenReady(AbortSignal.timeout(10_000));
    return daemon;
  }

  get hostId(): string {
    return this.engine.identity.hostId;
  }

  /** As dfget does it. */
  async get(request: LightDownloadRequest, signal?: AbortSignal): Promise<DoneMessage> {
    const client = await LightClient.connect(this.config.download.lightSocketPath);
    try {
      return await client.download({ overwrite: true, ...request }, signal === undefined ? {} : { signal });
    } finally {
      client.close();
    }
  }

  /** A client of the gRPC download service on the unix socket. Close it. */
  downloadClient(): dfdaemonV2.DfdaemonDownloadClient {
    return createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, this.engine.grpc.downloadAddress);
  }

  /** A client of the gRPC upload service. Close it. */
  uploadClient(): dfdaemonV2.DfdaemonUploadClient {
    return createGrpcClient(dfdaemonV2.DfdaemonUploadClient, `127.0.0.1:${this.uploadPort}`);
  }

  /** May be called again. */
  stop(): Promise<void> {
    this.stopped ??= this.stopOnce();
    return this.stopped;
  }

  private async stopOnce(): Promise<void> {
    await this.engine.stop();
    await Promise.all(this.servers.map((server) => server.stop(0)));
  }
}
