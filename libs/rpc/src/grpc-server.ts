import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import type { DirectStream } from './direct-streams.js';
import { streamHandlerOf } from './handle.js';
import { ServerCore, type ServerSettings } from './server-core.js';

/** A ts-proto service definition and its handlers; see `handleUnary`, `handleServerStream` and `handleBidi`. */
export interface GrpcServiceBinding {
  readonly service: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions extends ServerSettings {
  readonly services: readonly GrpcServiceBinding[];
  /** Whether bidirectional methods made by `handleBidi` are served without the library. @default false */
  readonly servesStreamsDirectly?: boolean;
}

/** A running gRPC server without a framework. */
export class GrpcServer {
  private constructor(
    private readonly core: ServerCore,
    /** In the order of the addresses, 0 for a unix socket. */
    readonly ports: readonly number[],
  ) {}

  /**
   * Serves on all addresses; health answers SERVING from then on.
   * @throws DfError `invalid-argument` for a malformed address, `already-exists` for a socket in use, `unavailable` for
   * an address that cannot be bound, `failed-precondition` when streams would be cut (deadline-header.ts)
   */
  static async start(options: GrpcServerOptions): Promise<GrpcServer> {
    const definitions = new Map(options.services.map(({ service }) => [serviceName(service), service]));
    const directStreams = options.servesStreamsDirectly === true ? options.services.flatMap(directStreamsOf) : [];
    const core = new ServerCore({ ...options, directStreams }, definitions);
    for (const { service, implementation } of options.services) core.server.addService(service, implementation);
    return new GrpcServer(core, await core.listen());
  }

  /** What health checks answer from now on. */
  setServing(isServing: boolean): void {
    this.core.setServing(isServing);
  }

  /** Refuses new calls, waits up to `graceMs` for the running ones, then cuts them. */
  async stop(graceMs: number): Promise<void> {
    return this.core.stop(graceMs);
  }
}

function directStreamsOf({ service, implementation }: GrpcServiceBinding): DirectStream[] {
  return Object.entries(service).flatMap(([name, definition]) => {
    const handler = implementation[name];
    const serve = handler === undefined ? undefined : streamHandlerOf(handler);
    return serve === undefined ? [] : [{ definition, serve }];
  });
}

/** Full name of a service, from the path of its first method. */
export function serviceName(service: ServiceDefinition): string {
  const name = Object.values(service)[0]?.path.split('/')[1];
  if (name === undefined) throw new DfError('invalid-argument', 'a gRPC service without methods');
  return name;
}
