import { managerV2 } from '@dragonfly/proto';
import { GrpcServer, handleUnary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import type { ServerReadableStream, sendUnaryData } from '@grpc/grpc-js';

/** A manager with one cluster: tells schedulers, keeps seed peers. */
export class TestManager {
  schedulers: Partial<managerV2.Scheduler>[] = [];
  clientConfig = '{}';
  seedClientConfig = '{}';
  readonly asked: managerV2.ListSchedulersRequest[] = [];
  readonly registered: managerV2.UpdateSeedPeerRequest[] = [];
  /** Keep-alive messages of the streams, open and closed. */
  readonly keepAlives: managerV2.KeepAliveRequest[] = [];
  openKeepAlives = 0;
  private server: GrpcServer | undefined;

  static async start(port = 0): Promise<TestManager> {
    const manager = new TestManager();
    await manager.serve(port);
    return manager;
  }

  get port(): number {
    return this.server?.ports[0] ?? 0;
  }

  async serve(port: number): Promise<void> {
    const log = silentLogger();
    this.server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: [
        {
          service: managerV2.ManagerService,
          implementation: {
            listSchedulers: handleUnary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
              async (request) => {
                this.asked.push(request);
                return {
                  schedulers: this.schedulers.map((scheduler) => ({
                    ...scheduler,
                    schedulerClusterId: 1n,
                    schedulerCluster: {
                      id: 1n,
                      clientConfig: Buffer.from(this.clientConfig),
                      seedClientConfig: Buffer.from(this.seedClientConfig),
                    },
                  })),
                };
              },
              log,
            ),
            updateSeedPeer: handleUnary<managerV2.UpdateSeedPeerRequest, managerV2.SeedPeer>(async (request) => {
              this.registered.push(request);
              return { id: 1n, hostname: request.hostname };
            }, log),
            keepAlive: (
              call: ServerReadableStream<managerV2.KeepAliveRequest, object>,
              callback: sendUnaryData<object>,
            ) => {
              this.openKeepAlives += 1;
              call.on('data', (message: managerV2.KeepAliveRequest) => this.keepAlives.push(message));
              call.on('end', () => callback(null, {}));
              call.on('close', () => {
                this.openKeepAlives -= 1;
              });
            },
          },
        },
      ],
    });
  }

  async stop(): Promise<void> {
    await this.server?.stop(0);
  }
}
