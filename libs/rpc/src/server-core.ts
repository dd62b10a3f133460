import { chmod, rm } from 'node:fs/promises';
import type { ServerHttp2Stream } from 'node:http2';
import { TLSSocket } from 'node:tls';
import { type ChannelOptions, Server, type ServerCredentials, type ServiceDefinition, setLogger } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { isTracing } from '@dragonfly/telemetry/spans';
import { HealthImplementation } from 'grpc-health-check';
import { type Address, grpcTarget, parseAddress, prepareUnixSocket } from './address.js';
import { closeAnsweredStreams } from './answered-streams.js';
import { type CallCounts, countingInterceptor } from './call-counts.js';
import { serverSpans } from './call-spans.js';
import { type DirectStream, serveDirectly } from './direct-streams.js';
import { exemptFromTimeout, proveTimeoutCure } from './deadline-header.js';
import {
  rateLimitInterceptor,
  REVOKED,
  revocationInterceptor,
  TOO_MANY,
  validationInterceptor,
  violationOf,
} from './interceptors.js';
import {
  DEFAULT_MAX_REQUEST_BYTES,
  DEFAULT_REQUEST_RATE_LIMIT,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  MAX_CONCURRENT_STREAMS,
} from './limits.js';
import type { RpcLog } from './log.js';
import { addReflection } from './reflection.js';
import { closeRevokedConnections } from './revoked-connections.js';
import { type LiveServerTls, type ServerTls, serverCredentials } from './tls.js';
import { TokenBucket } from './token-bucket.js';

/** What every server of the system is told, whoever dispatches its calls. */
export interface ServerSettings {
  /** `host:port`, `[ipv6]:port` or `unix:/path`; port 0 takes a free one. A socket left behind by a dead process is removed. */
  readonly addresses: readonly string[];
  readonly log: RpcLog;
  readonly tls?: ServerTls | LiveServerTls;
  /** Names that the health service knows besides '' and the services. */
  readonly healthServices?: readonly string[];
  /** @default DEFAULT_MAX_REQUEST_BYTES */
  readonly maxReceiveBytes?: number;
  /** Calls and new streams a second. @default DEFAULT_REQUEST_RATE_LIMIT; 0 = no limit */
  readonly requestRateLimit?: number;
  /** Whether requests are checked against the rules of their messages. @default true */
  readonly validate?: boolean;
  /** Counts the calls; several servers may share it. */
  readonly counts?: CallCounts;
  /** Methods whose streams are served without the library; their handlers are registered all the same. */
  readonly directStreams?: readonly DirectStream[];
  /** File mode of unix sockets: who may connect. @default 0o660 */
  readonly socketMode?: number;
}

const DEFAULT_SOCKET_MODE = 0o660;

/**
 * A grpc-js server with all that ours have in common: limits, validation, the cure for `grpc-timeout` on streams,
 * health, reflection, several addresses, a bounded stop. `GrpcServer` and the Nest transport put services into it.
 */
export class ServerCore {
  readonly server: Server;
  private readonly health: HealthImplementation;
  private readonly healthNames: readonly string[];
  private readonly undoExemption: () => void;
  private readonly undoClosing: () => void;
  private readonly undoCutting: () => void;
  private readonly bucket: TokenBucket | undefined;
  private readonly socketPaths: string[] = [];
  private stopping: Promise<void> | undefined;

  /**
   * @param serviceDefinitions by full service name
   * @throws DfError invalid-argument for a malformed address
   */
  constructor(
    private readonly settings: ServerSettings,
    serviceDefinitions: ReadonlyMap<string, ServiceDefinition>,
  ) {
    settings.addresses.forEach(parseAddress);
    routeLibraryLog(settings.log);
    const rate = settings.requestRateLimit ?? DEFAULT_REQUEST_RATE_LIMIT;
    this.bucket = rate > 0 ? new TokenBucket(rate) : undefined;
    this.server = new Server(channelOptions(settings, this.bucket));
    const streams = [...serviceDefinitions.values()]
      .flatMap((definition) => Object.values(definition))
      .filter((method) => method.requestStream || method.responseStream)
      .map((method) => method.path);
    this.undoExemption = exemptFromTimeout(streams);
    for (const definition of serviceDefinitions.values()) settings.counts?.expect(definition);
    this.undoClosing = closeAnsweredStreams();
    const isRevoked = revocationOf(settings);
    this.undoCutting = isRevoked === undefined ? () => undefined : closeRevokedConnections('server', isRevoked);

    this.healthNames = ['', ...serviceDefinitions.keys(), ...(settings.healthServices ?? [])];
    this.health = new HealthImplementation(
      Object.fromEntries(this.healthNames.map((name) => [name, 'NOT_SERVING' as const])),
    );
    this.health.addToServer(this.server);
    addReflection(this.server, [...serviceDefinitions.keys()]);
  }

  /**
   * Begins to listen on all addresses and reports SERVING. On failure everything bound so far is closed.
   * @returns ports in the order of the addresses, 0 for a unix socket
   */
  async listen(): Promise<number[]> {
    try {
      await proveTimeoutCure();
      const credentials = serverCredentials(this.settings.tls);
      const ports: number[] = [];
      for (const address of this.settings.addresses.map(parseAddress)) {
        ports.push(await this.bind(address, credentials));
      }
      this.setServing(true);
      return ports;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  private async bind(address: Address, credentials: ServerCredentials): Promise<number> {
    if (address.kind === 'unix') await prepareUnixSocket(address.path);
    const target = grpcTarget(address);
    const port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(target, credentials, (error, boundPort) => {
        if (error === null) resolve(boundPort);
        else reject(new DfError('unavailable', `cannot listen on ${target}: ${error.message}`, { cause: error }));
      });
    });
    this.serveDirectly();
    if (address.kind === 'tcp') return port;
    this.socketPaths.push(address.path);
    await chmod(address.path, this.settings.socketMode ?? DEFAULT_SOCKET_MODE);
    return 0;
  }

  private serveDirectly(): void {
    const { directStreams = [], counts, log, maxReceiveBytes, validate } = this.settings;
    // Spans are the library's way: while somebody wants them, its streams go there.
    if (directStreams.length === 0 || isTracing()) return;
    const isRevoked = revocationOf(this.settings);
    const isDirect = serveDirectly(this.server, directStreams, {
      log,
      maxReceiveBytes: maxReceiveBytes ?? DEFAULT_MAX_REQUEST_BYTES,
      refusal: (stream) => {
        if (isRevoked !== undefined && isRevokedClient(stream, isRevoked)) return REVOKED;
        return this.bucket?.tryTake() === false ? TOO_MANY : undefined;
      },
      violation: validate === false ? () => undefined : violationOf,
      countsOf: (definition) => counts?.of(definition),
    });
    if (!isDirect) log.warn({}, 'this version of grpc-js does not show its streams: they take the slower way');
  }

  /** What health checks answer from now on, for every name. */
  setServing(isServing: boolean): void {
    for (const name of this.healthNames) this.health.setStatus(name, isServing ? 'SERVING' : 'NOT_SERVING');
  }

  /**
   * Refuses new calls, lets running ones finish, and cuts what is left after the grace period.
   * @param graceMs 0 cuts at once. Streams that live as long as their client wishes always need the whole of it.
   */
  async stop(graceMs: number): Promise<void> {
    this.stopping ??= this.shutDown(graceMs);
    return this.stopping;
  }

  private async shutDown(graceMs: number): Promise<void> {
    this.setServing(false);
    if (graceMs > 0) {
      let timer: NodeJS.Timeout | undefined;
      const isDrained = await Promise.race([
        new Promise<boolean>((resolve) => this.server.tryShutdown((error) => resolve(error === undefined))),
        new Promise<boolean>((resolve) => {
          timer = setTimeout(() => resolve(false), graceMs);
        }),
      ]);
      clearTimeout(timer);
      if (!isDrained) this.settings.log.info({ graceMs }, 'cutting the calls that outlived the grace period');
    }
    this.server.forceShutdown();
    this.undoExemption();
    this.undoClosing();
    this.undoCutting();
    await Promise.all(this.socketPaths.map((socketPath) => rm(socketPath, { force: true })));
  }
}

/** grpc-js has one log for the process and would write it to stderr; the server started last takes it. */
function routeLibraryLog(log: RpcLog): void {
  const write = (level: 'warn' | 'debug') => (text: unknown) => log[level]({ library: 'grpc-js' }, String(text));
  setLogger({ error: write('warn'), info: write('debug'), debug: write('debug') });
}

function revocationOf({ tls }: ServerSettings): ((serial: string) => boolean) | undefined {
  return tls && 'live' in tls ? tls.isRevoked : undefined;
}

/** As grpc-js: only a certificate that was checked counts. */
function isRevokedClient({ session }: ServerHttp2Stream, isRevoked: (serial: string) => boolean): boolean {
  const socket = session?.socket;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  const serial = socket.getPeerCertificate().serialNumber as string | undefined;
  return serial !== undefined && isRevoked(serial.toLowerCase());
}

function channelOptions(settings: ServerSettings, bucket: TokenBucket | undefined): ChannelOptions {
  const isRevoked = revocationOf(settings);
  return {
    'grpc.max_receive_message_length': settings.maxReceiveBytes ?? DEFAULT_MAX_REQUEST_BYTES,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    // Without its timeout nothing but the connection ends the stream of a vanished peer.
    'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // Channelz stays on: without it grpc-js 1.14 keeps no list of its connections and forceShutdown() cuts none.
    interceptors: [
      ...(settings.counts === undefined ? [] : [countingInterceptor(settings.counts)]),
      ...(isTracing() ? [serverSpans()] : []),
      ...(isRevoked === undefined ? [] : [revocationInterceptor(isRevoked)]),
      ...(bucket === undefined ? [] : [rateLimitInterceptor(bucket)]),
      ...(settings.validate === false ? [] : [validationInterceptor()]),
    ],
  };
}
