/**
 * The gRPC transport for Nest applications, apart from the rest so that processes without Nest do not load it.
 * @packageDocumentation
 */
import { type ArgumentsHost, Catch, type RpcExceptionFilter } from '@nestjs/common';
import { type CustomStrategy, type GrpcOptions, ServerGrpc } from '@nestjs/microservices';
import type { MethodDefinition, ServerUnaryCall, ServiceDefinition } from '@grpc/grpc-js';
import { type Observable, throwError } from 'rxjs';
import { addDirectly, type DirectMethod } from './direct-methods.js';
import type { RpcLog } from './log.js';
import { ServerCore, type ServerSettings } from './server-core.js';
import { statusOfError } from './status.js';

export { type DirectMethod, directMethod } from './direct-methods.js';
export { contextOf, type RawCall, streamOut } from './nest-calls.js';

export interface NestGrpcSettings extends Omit<ServerSettings, 'addresses'> {
  /** ts-proto definitions with their full names, e.g. `scheduler.v2.Scheduler`. */
  readonly services: readonly { readonly definition: ServiceDefinition; readonly name: string }[];
  /** First address to listen on, as in `ServerSettings.addresses`. */
  readonly url: string;
  /** Further addresses of the same server. */
  readonly extraUrls?: readonly string[];
  /** How long `app.close()` waits for running calls. @default 0 */
  readonly graceMs?: number;
  /** Methods that are answered without Nest, for those that are asked most. Controllers must not have them too. */
  readonly direct?: readonly DirectMethod[];
}

/** What `connectMicroservice` and `createMicroservice` take; `strategy` stays at hand for its ports and health. */
export interface NestGrpcOptions extends CustomStrategy {
  readonly strategy: NestGrpcServer;
}

/**
 * Options for a Nest microservice that answers with `@GrpcMethod('Scheduler', 'StatTask')` and
 * `@GrpcStreamCall('Scheduler', 'AnnouncePeer')`, on our server: several addresses, validation, limits, health,
 * reflection, bigint messages. Handlers of streams return `serveStream(call, …)`.
 */
export function nestGrpcOptions(settings: NestGrpcSettings): NestGrpcOptions {
  return { strategy: new NestGrpcServer(settings) };
}

/** Nest's gRPC dispatch over a `ServerCore`. */
export class NestGrpcServer extends ServerGrpc {
  private readonly core: ServerCore;
  private readonly graceMs: number;
  private readonly direct: readonly DirectMethod[];
  private readonly log: RpcLog;
  private boundPorts: readonly number[] = [];

  /** @throws DfError invalid-argument for a malformed address */
  constructor(settings: NestGrpcSettings) {
    super(dispatchOptions(settings));
    this.graceMs = settings.graceMs ?? 0;
    this.direct = settings.direct ?? [];
    this.log = settings.log;
    const addresses = [settings.url, ...(settings.extraUrls ?? [])];
    const definitions = new Map(settings.services.map(({ name, definition }) => [name, definition]));
    this.core = new ServerCore({ ...settings, addresses }, definitions);
  }

  /** In the order of the addresses, 0 for a unix socket; empty before the start. */
  get ports(): readonly number[] {
    return this.boundPorts;
  }

  /** What health checks answer from now on. */
  setServing(isServing: boolean): void {
    this.core.setServing(isServing);
  }

  /** Called by Nest, which would bind here: before its services are added, so that early calls get UNIMPLEMENTED. */
  override createClient(): Promise<unknown> {
    return Promise.resolve(addDirectly(this.core.server, this.direct, this.log));
  }

  override async start(callback?: () => void): Promise<void> {
    await this.bindEvents();
    this.boundPorts = await this.core.listen();
    callback?.();
  }

  override async close(): Promise<void> {
    await this.core.stop(this.graceMs);
  }
}

/**
 * Turns what a `@GrpcMethod` handler throws into a gRPC status; without it Nest answers everything but its own
 * RpcException with UNKNOWN. Install with `app.useGlobalFilters(new GrpcExceptionFilter(log))`.
 */
@Catch()
export class GrpcExceptionFilter implements RpcExceptionFilter<unknown> {
  constructor(private readonly log: RpcLog) {}

  catch(error: unknown, host: ArgumentsHost): Observable<never> {
    const call = host.getArgByIndex<ServerUnaryCall<unknown, unknown> | undefined>(2);
    return throwError(() => statusOfError(error, call?.getPath() ?? 'unknown', this.log));
  }
}

function dispatchOptions({ services, url }: NestGrpcSettings): GrpcOptions['options'] {
  return {
    url,
    package: [...new Set(services.map(({ name }) => name.slice(0, name.lastIndexOf('.'))))],
    packageDefinition: Object.fromEntries(services.map(({ name, definition }) => [name, keyedByMethod(definition)])),
  };
}

/** Nest looks methods up under their names in the .proto file; ts-proto keys them in lower camel case. */
function keyedByMethod(definition: ServiceDefinition): ServiceDefinition {
  const keyed: Record<string, MethodDefinition<unknown, unknown>> = {};
  for (const method of Object.values(definition) as MethodDefinition<unknown, unknown>[]) {
    keyed[method.path.slice(method.path.lastIndexOf('/') + 1)] = method;
  }
  return keyed;
}
