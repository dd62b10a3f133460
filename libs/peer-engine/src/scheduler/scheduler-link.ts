import { connectivityState } from '@grpc/grpc-js';
import type { schedulerV2 } from '@dragonfly/proto';

/** A scheduler and the connection to it. */
export class SchedulerLink {
  private current: schedulerV2.SchedulerClient;
  private isClosed = false;
  private lastHeardAtMs = -Infinity;

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
    this.watch(client);
    return client;
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
