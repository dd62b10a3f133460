import { createServer, type Server, type Socket } from 'node:net';
import { DfError } from '@dragonfly/errors';
import { BufferPool } from './buffer-pool.js';
import { ChildConnection, type ServerCounters } from './child-connection.js';
import type { PieceSource, VortexLog } from './piece-source.js';
import type { RateLimiter } from './rate-limiter.js';

/** What a server is made of, and its bounds. */
export interface VortexServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 takes a free one, see {@link VortexServer.port}. */
  readonly port: number;
  readonly source: PieceSource;
  /** Asked for the length of a piece before its answer. @default none */
  readonly limiter?: RateLimiter | undefined;
  readonly log: VortexLog;
  /** A connection without a whole request for this long is closed. @default 30 s, as Dragonfly's client */
  readonly idleTimeoutMs?: number | undefined;
  /** Longest time that a child may take for one answer. @default 360 s, as Dragonfly's client */
  readonly writeTimeoutMs?: number | undefined;
  /** Further connections are closed at once. @default 2048 */
  readonly maxConnections?: number | undefined;
  /**
   * Buffers that files are read into. It bounds the answers that are in flight at a time: each holds one buffer, and a
   * second one while nobody waits. @default at most 256 buffers of 512 KiB
   */
  readonly pool?: BufferPool | undefined;
}

/** Counters since the start, and what is going on now. */
export interface VortexServerStats extends Readonly<ServerCounters> {
  readonly connections: number;
}

const DEFAULT_IDLE_TIMEOUT_MS = 30_000;
const DEFAULT_WRITE_TIMEOUT_MS = 360_000;
const DEFAULT_MAX_CONNECTIONS = 2048;
const DEFAULT_BUFFER_BYTES = 512 * 1024;
const DEFAULT_MAX_BUFFERS = 256;

/** Connections that the kernel keeps until they are accepted, as Dragonfly's client. */
const BACKLOG = 1024;

/** TCP keep-alive probes start after this much silence, as in Dragonfly's client. */
const KEEP_ALIVE_DELAY_MS = 5_000;

const DEFAULT_GRACE_MS = 5_000;

/** Serves pieces to children over TCP. */
export class VortexServer {
  private readonly connections = new Set<ChildConnection>();
  private readonly counters: ServerCounters = {
    answers: 0,
    errorAnswers: 0,
    bytesSent: 0,
    rejectedFrames: 0,
    timeouts: 0,
    shortReads: 0,
  };
  private readonly pool: BufferPool;
  private readonly server: Server;

  private constructor(private readonly options: VortexServerOptions) {
    this.pool = options.pool ?? new BufferPool({ bufferBytes: DEFAULT_BUFFER_BYTES, maxBuffers: DEFAULT_MAX_BUFFERS });
    this.server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      (socket) => this.accept(socket),
    );
    this.server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  }

  /**
   * Starts to listen.
   *
   * @throws DfError `unavailable` when the address cannot be listened on
   */
  static async start(options: VortexServerOptions): Promise<VortexServer> {
    const started = new VortexServer(options);
    const { server } = started;
    const { host, port, log } = options;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new DfError('unavailable', `cannot serve pieces on ${host}:${port}: ${error.message}`, { cause: error }),
        );
      });
      server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    server.on('error', (error) => log.warn({ err: error }, 'piece server failed to accept'));
    return started;
  }

  /** The port that is listened on. */
  get port(): number {
    const address = this.server.address();
    return address !== null && typeof address === 'object' ? address.port : this.options.port;
  }

  get stats(): VortexServerStats {
    return { ...this.counters, connections: this.connections.size };
  }

  /**
   * Stops accepting, closes idle connections, lets running answers end within the grace and then cuts them. Resolves
   * when every connection is closed and no file is read any more.
   *
   * @param graceMs @default 5 s
   */
  async close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    const isClosed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const connection of this.connections) connection.drain();
    const timer = setTimeout(() => {
      for (const connection of this.connections) connection.destroy();
    }, graceMs);
    await Promise.all([...this.connections].map((connection) => connection.finished));
    clearTimeout(timer);
    await isClosed;
  }

  private accept(socket: Socket): void {
    const { source, limiter, log, idleTimeoutMs, writeTimeoutMs } = this.options;
    const connection = new ChildConnection(socket, {
      source,
      limiter,
      pool: this.pool,
      log,
      idleTimeoutMs: idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
      writeTimeoutMs: writeTimeoutMs ?? DEFAULT_WRITE_TIMEOUT_MS,
      counters: this.counters,
    });
    this.connections.add(connection);
    void connection.finished.then(() => this.connections.delete(connection));
  }
}
