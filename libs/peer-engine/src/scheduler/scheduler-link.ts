import { type ChannelCredentials, type ChannelOptions, connectivityState, credentials } from '@grpc/grpc-js';
import { extPush, extSource, type schedulerV2 } from '@dragonfly/proto';
import { spanOptions } from '@dragonfly/rpc';

/** Services of our own that a scheduler may have beside the plain protocol. */
export type Extension = 'source' | 'push';

/** A scheduler and the connection to it. */
export class SchedulerLink {
  private current: schedulerV2.SchedulerClient;
  private isClosed = false;
  private lastHeardAtMs = -Infinity;
  private sourceService: extSource.SourceServiceClient | undefined;
  private pushService: extPush.PushServiceClient | undefined;
  private readonly missing = new Set<Extension>();

  /**
   * @param name on the ring: the host name, or the address where none is known
   * @param onLost the connection was there and is gone: the scheduler may be down, or restarted and without memory
   */
  constructor(
    readonly name: string,
    readonly address: string,
    readonly clusterId: number,
    private readonly connect: (address: string) => schedulerV2.SchedulerClient,
    private readonly onLost: (link: SchedulerLink) => void,
  ) {
    this.current = this.open();
  }

  get client(): schedulerV2.SchedulerClient {
    return this.current;
  }

  /** Source leases; over the same connection, as long as that is not replaced. */
  get source(): extSource.SourceServiceClient {
    return (this.sourceService ??= this.extension(extSource.SourceServiceClient));
  }

  /** News for this daemon; over the same connection, as long as that is not replaced. */
  get push(): extPush.PushServiceClient {
    return (this.pushService ??= this.extension(extPush.PushServiceClient));
  }

  /** False after the scheduler said that it has no such service, until its connection is replaced. */
  mayHave(extension: Extension): boolean {
    return !this.missing.has(extension);
  }

  hasNo(extension: Extension): void {
    this.missing.add(extension);
  }

  /** When the scheduler last said anything, on `performance.now()`'s clock; −Infinity before. */
  get heardAtMs(): number {
    return this.lastHeardAtMs;
  }

  /** The scheduler said something. */
  heard(): void {
    this.lastHeardAtMs = performance.now();
  }

  /** Starts over with a new connection, because the old one waits longer and longer before it tries again. */
  reconnect(): void {
    if (this.isClosed) return;
    this.current.close();
    this.current = this.open();
  }

  close(): void {
    this.isClosed = true;
    this.current.close();
  }

  private open(): schedulerV2.SchedulerClient {
    const client = this.connect(this.address);
    // Another program may answer there now.
    this.sourceService = undefined;
    this.pushService = undefined;
    this.missing.clear();
    this.watch(client);
    return client;
  }

  private extension<C>(
    Client: new (address: string, credentials: ChannelCredentials, options?: Partial<ChannelOptions>) => C,
  ): C {
    // The channel has its credentials already.
    return new Client(this.address, credentials.createInsecure(), {
      channelOverride: this.current.getChannel(),
      ...spanOptions(this.address),
    });
  }

  private watch(client: schedulerV2.SchedulerClient): void {
    const channel = client.getChannel();
    const before = channel.getConnectivityState(false);
    if (before === connectivityState.SHUTDOWN) return;
    channel.watchConnectivityState(before, Infinity, () => {
      if (this.isClosed || client !== this.current) return;
      if (before === connectivityState.READY) this.onLost(this);
      this.watch(client);
    });
  }
}
