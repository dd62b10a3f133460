import { mkdtemp, rm } from 'node:fs/promises';
import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type commonV2, schedulerV2 } from '@dragonfly/proto';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { createGrpcClient, GrpcServer, type GrpcServerOptions, type RpcLog } from '../src/index.js';

/** A server closes a stream within milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

/** A log that keeps what it is told. */
export class CapturedLog implements RpcLog {
  readonly entries: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  readonly error = this.take('error');
  readonly warn = this.take('warn');
  readonly info = this.take('info');
  readonly debug = this.take('debug');

  private take(level: string) {
    return (fields: object, message: string): void => {
      this.entries.push({ level, fields: fields as Record<string, unknown>, message });
    };
  }
}

/** Undoes, newest first, what a test has set up. */
export class CleanUp {
  private readonly steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.steps.splice(0).reverse()) await step();
  }
}

export async function temporaryDirectory(cleanUp: CleanUp): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'df-rpc-'));
  cleanUp.add(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Both ways in which a bidirectional method is served have to do the same. */
export const STREAM_WAYS = [
  ['grpc-js', false],
  ['node:http2 directly', true],
] as const;

export interface SchedulerFixture {
  readonly server: GrpcServer;
  readonly client: schedulerV2.SchedulerClient;
  readonly log: CapturedLog;
  readonly port: number;
}

/** A scheduler service with some of its methods, and a client of it. */
export async function startScheduler(
  cleanUp: CleanUp,
  implementation: UntypedServiceImplementation,
  options: Partial<GrpcServerOptions> = {},
): Promise<SchedulerFixture> {
  const log = new CapturedLog();
  const server = await GrpcServer.start({
    services: [{ service: schedulerV2.SchedulerService, implementation }],
    addresses: ['127.0.0.1:0'],
    log,
    ...options,
  });
  cleanUp.add(() => server.stop(0));
  const port = server.ports[0] ?? 0;
  const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`);
  cleanUp.add(() => client.close());
  return { server, client, log, port };
}

/** A host that satisfies every rule. */
export function aHost(change: Partial<commonV2.Host> = {}): Partial<commonV2.Host> {
  return { id: 'h1', hostname: 'host-1', ip: '10.0.0.1', port: 8000, downloadPort: 8001, ...change };
}

/** A gRPC call below every gRPC library, for headers that libraries do not let one choose. */
export class RawCall {
  private readonly session;
  private readonly stream;
  private status: string | undefined;
  /** Whether the status came as the only headers, without response headers before it. */
  hasStatusOnly = false;

  constructor(port: number, method: string, headers: Record<string, string>) {
    this.session = connect(`http://127.0.0.1:${port}`);
    this.session.on('error', () => undefined);
    this.stream = this.session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const note = (received: IncomingHttpHeaders): void => {
      const status = received['grpc-status'];
      if (status !== undefined) this.status = String(status);
    };
    this.stream
      .on('response', (received) => {
        this.hasStatusOnly = received['grpc-status'] !== undefined;
      })
      .on('response', note)
      .on('trailers', note)
      .on('error', () => undefined)
      .resume();
  }

  /** Resolves with the response headers. */
  async opened(): Promise<void> {
    await once(this.stream, 'response');
  }

  send(message: Uint8Array): this {
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, 5);
    this.stream.write(frame);
    return this;
  }

  halfClose(): this {
    this.stream.end();
    return this;
  }

  /** The gRPC status number at the moment both directions were closed, without the caller having ended its own. */
  async closedByServer(): Promise<number> {
    if (!this.stream.closed) await once(this.stream, 'close', { signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
    this.session.destroy();
    return Number(this.status);
  }

  /** The gRPC status number the call ended with. */
  async ended(): Promise<number> {
    if (!this.stream.readableEnded) await once(this.stream, 'end');
    this.session.destroy();
    return Number(this.status);
  }
}
