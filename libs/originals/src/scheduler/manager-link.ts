import type { ClientWritableStream } from '@grpc/grpc-js';
import { managerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';

const CALL_DEADLINE_MS = 10_000;

export interface ManagerLinkOptions {
  /** `host:port` */
  readonly address: string;
  readonly hostname: string;
  readonly ip: string;
  readonly port: number;
  readonly clusterId: number;
  readonly keepAliveIntervalMs: number;
}

/** Registers a scheduler and keeps it alive, as the original does: a broken stream is opened again for ever. */
export class ManagerLink {
  private readonly client: managerV2.ManagerClient;
  private stream: ClientWritableStream<managerV2.KeepAliveRequest> | undefined;
  private timer: NodeJS.Timeout | undefined;

  private constructor(private readonly options: ManagerLinkOptions) {
    this.client = createGrpcClient(managerV2.ManagerClient, options.address);
  }

  /** @throws DfError when the manager does not take the registration; the original ends then */
  static async open(options: ManagerLinkOptions): Promise<ManagerLink> {
    const link = new ManagerLink(options);
    const { hostname, ip, port, clusterId, keepAliveIntervalMs } = options;
    await unary<managerV2.UpdateSchedulerRequest, managerV2.Scheduler>(
      link.client.updateScheduler.bind(link.client),
      {
        sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
        hostname,
        ip,
        port,
        schedulerClusterId: BigInt(clusterId),
        features: ['schedule', 'preheat'],
        config: Buffer.from(JSON.stringify({ manager_keep_alive_interval: keepAliveIntervalMs * 1e6 })),
      },
      { deadlineMs: CALL_DEADLINE_MS },
    );
    link.keepAlive();
    link.timer = setInterval(() => link.keepAlive(), keepAliveIntervalMs).unref();
    return link;
  }

  close(): void {
    clearInterval(this.timer);
    this.stream?.end();
    this.client.close();
  }

  private open(): ClientWritableStream<managerV2.KeepAliveRequest> {
    const stream = this.client.keepAlive(() => {
      this.stream = undefined;
    });
    stream.on('error', () => undefined); // told to the callback as well
    return stream;
  }

  private keepAlive(): void {
    const { hostname, ip, clusterId } = this.options;
    this.stream ??= this.open();
    this.stream.write(
      managerV2.KeepAliveRequest.fromPartial({
        sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
        hostname,
        ip,
        clusterId: BigInt(clusterId),
      }),
    );
  }
}
