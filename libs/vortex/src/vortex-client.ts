import { DfError } from '@dragonfly/errors';
import { BufferPool } from './buffer-pool.js';
import { FrameError } from './frame-error.js';
import { encodePieceRequest, type PieceKind, type PieceMetadata } from './frame.js';
import { IdleConnections } from './idle-connections.js';
import { ExchangeFailure, type ExchangeResult } from './exchange.js';
import { ParentConnection } from './parent-connection.js';
import type { PieceSink } from './piece-receiver.js';

/** Bounds of a {@link VortexClient}. Every one may be left out. */
export interface VortexClientOptions {
  /** @default 2 s, as Dragonfly's client */
  readonly connectTimeoutMs?: number;
  /**
   * From the request to the metadata. A parent that is still fetching the piece answers only when it has it.
   * @default 360 s, as Dragonfly's client
   */
  readonly answerTimeoutMs?: number;
  /** From the metadata to the last byte. @default 360 s, as Dragonfly's client */
  readonly contentTimeoutMs?: number;
  /** Longest silence in the middle of a piece. @default 30 s */
  readonly stallTimeoutMs?: number;
  /** How long an idle connection is kept; parents close them after 30 s. @default 30 s */
  readonly idleTimeoutMs?: number;
  /** Most idle connections to one parent. @default 16 */
  readonly maxIdlePerAddress?: number;
  /** Most idle connections to all parents; the oldest goes first. @default 512 */
  readonly maxIdle?: number;
  /**
   * Buffers that pieces are received into. It bounds the pieces in flight: each needs one buffer, and takes a second if
   * there is one. @default at most 128 buffers of 512 KiB
   */
  readonly pool?: BufferPool;
}

/** Which piece, from whom, and where to. */
export interface FetchPieceRequest {
  /** IP address or host name, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly kind: PieceKind;
  /** 64 hex characters. */
  readonly taskId: string;
  /** 0-based. */
  readonly pieceNumber: number;
  /** Length that the piece must have, ≥ 1. */
  readonly expectedLengthBytes: number;
  /** Offset that the piece must have, if it is known. */
  readonly expectedOffsetBytes?: number | undefined;
  /** Digest that the parent announced, if it did: an answer with another one is refused. */
  readonly expectedDigest?: string | undefined;
  readonly sink: PieceSink;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the piece have come, in whatever number. Must not throw, and should cost nothing. */
  readonly onBytes?: (() => void) | undefined;
}

/** A piece that was received and written whole. */
export interface ReceivedPiece {
  /** As the parent sent it. */
  readonly metadata: PieceMetadata;
  /** `crc32:<decimal>` of the bytes that came. */
  readonly digest: string;
  /** False when the parent sent no digest, so that there was nothing to compare with. */
  readonly isVerified: boolean;
  readonly isReusedConnection: boolean;
  /** From the request to the last byte written. */
  readonly durationMs: number;
}

/** Counters since the start. */
export interface VortexClientStats {
  readonly connectionsOpened: number;
  readonly connectionsReused: number;
  /** Requests repeated on a new connection because an idle one turned out to be closed. */
  readonly staleConnections: number;
  /** Connections that are idle now. */
  readonly idle: number;
}

const DEFAULTS = {
  connectTimeoutMs: 2_000,
  answerTimeoutMs: 360_000,
  contentTimeoutMs: 360_000,
  stallTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  maxIdlePerAddress: 16,
  maxIdle: 512,
} as const;

/**
 * Half as many trips to the threads that write as with 256 KiB, which is a tenth less CPU for who receives; 1 MiB gains little
 * more (docs/PERFORMANCE.md).
 */
const DEFAULT_BUFFER_BYTES = 512 * 1024;
const DEFAULT_MAX_BUFFERS = 128;
/** Two for each piece of one download. There are four threads that write: with more downloads one each is enough. */
const COMFORTABLE_BUFFERS = 16;

/** Fetches pieces from parents over pooled TCP connections. */
export class VortexClient {
  private readonly options: Required<Omit<VortexClientOptions, 'pool'>>;
  private readonly pool: BufferPool;
  private readonly idle: IdleConnections;
  /** All that are open, for closing them. */
  private readonly connections = new Set<ParentConnection>();
  private readonly counters = { connectionsOpened: 0, connectionsReused: 0, staleConnections: 0 };
  private isClosed = false;

  constructor(options: VortexClientOptions = {}) {
    this.options = {
      connectTimeoutMs: options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
      answerTimeoutMs: options.answerTimeoutMs ?? DEFAULTS.answerTimeoutMs,
      contentTimeoutMs: options.contentTimeoutMs ?? DEFAULTS.contentTimeoutMs,
      stallTimeoutMs: options.stallTimeoutMs ?? DEFAULTS.stallTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs ?? DEFAULTS.idleTimeoutMs,
      maxIdlePerAddress: options.maxIdlePerAddress ?? DEFAULTS.maxIdlePerAddress,
      maxIdle: options.maxIdle ?? DEFAULTS.maxIdle,
    };
    this.pool =
      options.pool ??
      new BufferPool({
        bufferBytes: DEFAULT_BUFFER_BYTES,
        maxBuffers: DEFAULT_MAX_BUFFERS,
        comfortableBuffers: COMFORTABLE_BUFFERS,
      });
    this.idle = new IdleConnections(this.options);
  }

  get stats(): VortexClientStats {
    return { ...this.counters, idle: this.idle.size };
  }

  /**
   * Fetches one piece and writes it to the sink. A pooled connection that breaks before the first byte of the answer is
   * replaced once by a new one; nothing else is tried again.
   *
   * @throws DfError `not-found` the parent has not the piece · `data-loss` wrong checksum, number, length, offset or
   * digest, or a malformed answer · `unavailable` refused, reset or closed early · `deadline-exceeded` · `cancelled` ·
   * `invalid-argument` the request cannot be sent, or the parent says so · `internal` the parent failed ·
   * `resource-exhausted` too many wait for a buffer. An error of the sink is passed on as it is. When the promise
   * rejects, no write is outstanding.
   */
  async fetchPiece(request: FetchPieceRequest): Promise<ReceivedPiece> {
    const frame = requestFrame(request);
    if (this.isClosed) throw new DfError('cancelled', 'the piece client is closed');
    const startedAtMs = performance.now();
    const pooled = this.idle.take(addressOf(request));
    if (pooled !== undefined) this.counters.connectionsReused++;
    try {
      return received(await this.run(request, frame, pooled), pooled !== undefined, startedAtMs);
    } catch (error) {
      if (!(error instanceof ExchangeFailure)) throw error;
      if (pooled === undefined || !error.isBeforeAnswer || !isConnectionFailure(error.cause)) throw error.cause;
      this.counters.staleConnections++;
    }
    try {
      return received(await this.run(request, frame, undefined), false, startedAtMs);
    } catch (error) {
      throw error instanceof ExchangeFailure ? error.cause : error;
    }
  }

  /** Closes all connections; pieces in flight fail. Resolves when all sockets are closed. */
  async close(): Promise<void> {
    this.isClosed = true;
    const connections = [...this.connections];
    for (const connection of connections) connection.destroy();
    await Promise.all(connections.map((connection) => connection.whenClosed()));
  }

  private async run(
    request: FetchPieceRequest,
    frame: Buffer,
    pooled: ParentConnection | undefined,
  ): Promise<ExchangeResult> {
    const { signal } = request;
    const address = addressOf(request);
    // The buffer comes first: a parent must never be asked for bytes that there is no room for.
    let firstBuffer: Buffer;
    try {
      firstBuffer = await this.pool.acquire(signal);
    } catch (error) {
      if (pooled !== undefined) this.putIdle(address, pooled);
      throw error;
    }
    let connection: ParentConnection;
    try {
      connection = pooled ?? (await this.open(request));
    } catch (error) {
      this.pool.release(firstBuffer);
      throw error;
    }
    return connection.exchange({
      request: frame,
      expectation: {
        kind: request.kind,
        pieceNumber: request.pieceNumber,
        lengthBytes: request.expectedLengthBytes,
        offsetBytes: request.expectedOffsetBytes,
        digest: request.expectedDigest,
      },
      sink: request.sink,
      pool: this.pool,
      firstBuffer,
      timeouts: this.options,
      signal,
      onBytes: request.onBytes,
      onConnectionFree: () => this.putIdle(address, connection),
    });
  }

  private async open(request: FetchPieceRequest): Promise<ParentConnection> {
    const { host, port, signal } = request;
    const address = addressOf(request);
    const connection = await ParentConnection.open(host, port, this.options.connectTimeoutMs, signal);
    if (this.isClosed) {
      connection.destroy();
      throw new DfError('cancelled', 'the piece client is closed');
    }
    this.counters.connectionsOpened++;
    this.connections.add(connection);
    connection.onClosed = () => {
      this.connections.delete(connection);
      this.idle.remove(address, connection);
    };
    return connection;
  }

  private putIdle(address: string, connection: ParentConnection): void {
    if (this.isClosed) connection.destroy();
    else this.idle.put(address, connection);
  }
}

/** Key of the pool. */
function addressOf(request: FetchPieceRequest): string {
  return `${request.host}:${request.port}`;
}

/** @throws DfError `invalid-argument` for what cannot be asked for */
function requestFrame(request: FetchPieceRequest): Buffer {
  const { kind, taskId, pieceNumber, expectedLengthBytes } = request;
  if (!Number.isSafeInteger(expectedLengthBytes) || expectedLengthBytes < 1) {
    throw new DfError('invalid-argument', `expected piece length must be an integer ≥ 1, not ${expectedLengthBytes}`);
  }
  try {
    return encodePieceRequest(kind, { taskId, pieceNumber });
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new DfError('invalid-argument', error.message, { cause: error });
  }
}

function received(result: ExchangeResult, isReusedConnection: boolean, startedAtMs: number): ReceivedPiece {
  return {
    metadata: result.metadata,
    digest: result.digest,
    isVerified: result.metadata.digest !== '',
    isReusedConnection,
    durationMs: performance.now() - startedAtMs,
  };
}

function isConnectionFailure(cause: unknown): boolean {
  return cause instanceof DfError && cause.code === 'unavailable';
}
