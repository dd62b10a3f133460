import type { Headers as SentHeaders, SessionEvent } from '../recording/session.js';
import type { GrpcEndpoint } from '../recording/grpc-recorder.js';
import { GrpcConnection, type GrpcCall } from './grpc-call.js';
import { VortexConnection } from './vortex-connection.js';

export interface ReplayTargets {
  readonly grpc: GrpcEndpoint;
  readonly vortex?: { readonly host: string; readonly port: number };
  /** Changes what belongs to the place and time of the recording, such as ports of its origin. @default nothing */
  readonly patch?: (path: string, message: Buffer) => Buffer;
}

/** What our side answered, by the number of the recorded call. */
export interface Replayed {
  readonly grpc: ReadonlyMap<number, GrpcCall>;
  readonly vortex: ReadonlyMap<number, VortexConnection>;
}

/**
 * Says to a server of ours what the real programs said to its predecessor: the same bytes in the same order, each after
 * everything that the real program had been told before it. So a missing answer shows as a time-out that names it.
 */
export async function replay(events: readonly SessionEvent[], targets: ReplayTargets): Promise<Replayed> {
  const connection = new GrpcConnection(targets.grpc);
  const player = new Player(connection, targets);
  try {
    for (const event of events) await player.play(event);
    return player;
  } finally {
    player.close();
    connection.close();
  }
}

class Player implements Replayed {
  readonly grpc = new Map<number, GrpcCall>();
  readonly vortex = new Map<number, VortexConnection>();
  private readonly paths = new Map<number, string>();
  private readonly seen = new Map<string, number>();

  constructor(
    private readonly connection: GrpcConnection,
    private readonly targets: ReplayTargets,
  ) {}

  async play(event: SessionEvent): Promise<void> {
    if (event.type === 'open') {
      if (event.protocol === 'grpc') this.paths.set(event.call, event.path);
      else this.vortex.set(event.call, await this.connectVortex());
    } else if (event.side === '>') {
      this.say(event);
    } else {
      await this.hear(event);
    }
  }

  close(): void {
    for (const connection of this.vortex.values()) connection.close();
  }

  private async connectVortex(): Promise<VortexConnection> {
    if (this.targets.vortex === undefined) {
      throw new Error('the recording has piece connections, and no place for them');
    }
    return VortexConnection.open(this.targets.vortex);
  }

  private say(event: Exclude<SessionEvent, { type: 'open' }>): void {
    switch (event.type) {
      case 'headers':
        this.grpc.set(event.call, this.call(event.call, event.headers));
        break;
      case 'message':
        this.callAt(event.call).send(this.patched(event.call, event.bytes));
        break;
      case 'frame':
        this.vortexAt(event.call).send(event.bytes);
        break;
      case 'end':
        this.grpc.get(event.call)?.end();
        this.vortex.get(event.call)?.end();
        break;
      case 'cancel':
        this.callAt(event.call).cancel();
        break;
      case 'content':
      case 'trailers':
        throw new Error(`clients send no ${event.type}`);
    }
  }

  private async hear(event: Exclude<SessionEvent, { type: 'open' }>): Promise<void> {
    const index = this.count(event);
    switch (event.type) {
      case 'headers':
        await this.callAt(event.call).headers.at(index);
        break;
      case 'message':
        await this.callAt(event.call).messages.at(index);
        break;
      case 'trailers':
        await this.callAt(event.call).trailers.at(index);
        break;
      case 'cancel':
        await this.callAt(event.call).closed.at(index);
        break;
      case 'frame':
        await this.vortexAt(event.call).answers.at(index);
        break;
      case 'end':
        await this.vortex.get(event.call)?.ended.at(index);
        break;
      case 'content':
        // Comes with its frame.
        break;
    }
  }

  private count(event: Exclude<SessionEvent, { type: 'open' }>): number {
    const key = `${event.call} ${event.type}`;
    const index = this.seen.get(key) ?? 0;
    this.seen.set(key, index + 1);
    return index;
  }

  private call(number: number, headers: SentHeaders): GrpcCall {
    return this.connection.call(this.paths.get(number) ?? '', headers);
  }

  private patched(number: number, message: Buffer): Buffer {
    return this.targets.patch?.(this.paths.get(number) ?? '', message) ?? message;
  }

  private callAt(number: number): GrpcCall {
    const call = this.grpc.get(number);
    if (call === undefined) throw new Error(`call ${number} has not begun`);
    return call;
  }

  private vortexAt(number: number): VortexConnection {
    const connection = this.vortex.get(number);
    if (connection === undefined) throw new Error(`connection ${number} has not begun`);
    return connection;
  }
}
