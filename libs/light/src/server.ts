import { DfError } from '@dragonfly/errors';
import { chmod, lstat, rename, rm, unlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { encodeMessage, FrameError, FrameReader, type JsonObject } from './frame.js';
import type {
  DaemonMessage,
  DoneMessage,
  ErrorMessage,
  HelloMessage,
  LightDownloadRequest,
  ProgressMessage,
  StartedMessage,
} from './messages.js';
import { parseClientMessage } from './validate.js';

/** Connections served at once; one more is answered with `resource-exhausted` and closed. */
const DEFAULT_MAX_CONNECTIONS = 256;
/** Connections being told that the server is full; beyond them a connection is closed without a word. */
const MAX_REFUSALS = 64;
/** dfgets that come at the same instant and wait to be accepted; the kernel may allow fewer. */
const LISTEN_BACKLOG = 4096;
/** A connection without a request under way is closed after this time. */
const DEFAULT_IDLE_TIMEOUT_MS = 30_000;
/** Progress is dropped while more than this waits to be read by the client. */
const MAX_UNREAD_BYTES = 64 * 1024;
/** A client that does not read its last message for this long is cut off. */
const DRAIN_TIMEOUT_MS = 10_000;
/** The same while the server stops. */
const STOP_DRAIN_TIMEOUT_MS = 1_000;
/** `sun_path` of Linux without its closing NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
/** Long enough for a local daemon under load to accept, short enough not to delay a start noticeably. */
const LIVENESS_PROBE_TIMEOUT_MS = 1_000;

/** What the daemon does behind the socket. */
export interface LightHandler {
  hello(): Omit<HelloMessage, 'type'>;
  /**
   * Downloads one request.
   * @param request checked already
   * @param emit sends a message; never blocks: progress is dropped for a client that does not read
   * @param signal aborted when the client goes away or the server closes; the download must stop then
   * @returns once the output is complete and visible
   * @throws DfError, told to the client with its code, message and details
   */
  download(
    request: LightDownloadRequest,
    emit: (message: StartedMessage | ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<DoneMessage>;
}

/** The part of a pino logger that the server uses. */
export interface LightLogger {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface LightServerOptions {
  /** Socket path, at most 107 bytes. A socket left there by a dead daemon is replaced. */
  readonly path: string;
  /** Permission bits of the socket; who may connect may make the daemon write files. @default 0o660 */
  readonly mode?: number;
  readonly handler: LightHandler;
  readonly log: LightLogger;
  /** @default 256 */
  readonly maxConnections?: number;
  /** Time without a request under way. @default 30000 */
  readonly idleTimeoutMs?: number;
}

/** The daemon's side of the light protocol on a unix socket. */
export class LightServer {
  readonly #connections = new Set<Connection>();
  #closing: Promise<void> | undefined;

  private constructor(
    private readonly server: net.Server,
    /** Socket path. */
    readonly path: string,
    private readonly inode: bigint,
  ) {}

  /**
   * Listens on the socket.
   *
   * The socket is made under a temporary name, given its permissions and then renamed, so no client ever finds it with
   * wrong permissions and a stale socket is replaced in one step.
   * @throws DfError `already-exists` when a live daemon listens there or the path is not a socket, `invalid-argument`
   * for a path that is too long
   */
  static async start(options: LightServerOptions): Promise<LightServer> {
    const temporaryPath = path.join(path.dirname(options.path), `.l${process.pid.toString(36)}`);
    for (const candidate of [options.path, temporaryPath]) {
      if (Buffer.byteLength(candidate) > MAX_SOCKET_PATH_BYTES) {
        throw new DfError(
          'invalid-argument',
          `unix socket path is longer than ${MAX_SOCKET_PATH_BYTES} bytes: ${candidate}`,
        );
      }
    }
    await refuseLiveSocket(options.path);
    await rm(temporaryPath, { force: true });
    const server = net.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: temporaryPath, backlog: LISTEN_BACKLOG }, resolve);
    }).catch((error: unknown) => {
      throw new DfError(DfError.from(error).code, `cannot listen on ${options.path}: ${DfError.from(error).message}`, {
        cause: error,
      });
    });
    try {
      await chmod(temporaryPath, options.mode ?? 0o660);
      const { ino } = await lstat(temporaryPath, { bigint: true });
      await rename(temporaryPath, options.path);
      const started = new LightServer(server, options.path, ino);
      started.#serve(options);
      return started;
    } catch (error) {
      server.close();
      throw error;
    }
  }

  /** Connections open now. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops: no new connections, requests under way are aborted and told `unavailable`, the socket file is removed.
   * Repeated calls wait for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #serve(options: LightServerOptions): void {
    const maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    this.server.on('error', (error) => options.log.warn({ err: error }, 'light socket failed'));
    this.server.on('connection', (socket) => {
      const connection = new Connection(
        socket,
        options.handler,
        options.log,
        options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
      );
      const isFull = this.#connections.size >= maxConnections;
      if (this.#connections.size >= maxConnections + MAX_REFUSALS) {
        socket.destroy();
        return;
      }
      this.#connections.add(connection);
      socket.once('close', () => this.#connections.delete(connection));
      if (isFull) {
        connection.refuse(
          new DfError('resource-exhausted', `daemon serves ${maxConnections} dfget connections already`),
        );
        return;
      }
      connection.serve();
    });
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const connection of this.#connections) {
      connection.refuse(
        new DfError('unavailable', 'daemon is stopping', { details: { isStopping: true } }),
        STOP_DRAIN_TIMEOUT_MS,
      );
    }
    await this.#removeSocketFile();
    await closed;
  }

  /** Removes the file unless another daemon has put its own socket there meanwhile. */
  async #removeSocketFile(): Promise<void> {
    try {
      const { ino } = await lstat(this.path, { bigint: true });
      if (ino === this.inode) await unlink(this.path);
    } catch (error) {
      if (DfError.from(error).code !== 'not-found') throw error;
    }
  }
}

/** @throws DfError `already-exists` when something that is not a dead socket is in the way */
async function refuseLiveSocket(socketPath: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = (await lstat(socketPath)).isSocket();
  } catch (error) {
    if (DfError.from(error).code === 'not-found') return;
    throw error;
  }
  if (!isSocket) {
    throw new DfError('already-exists', `${socketPath} exists and is not a socket; remove it or choose another path`);
  }
  const isLive = await new Promise<boolean>((resolve) => {
    const probe = net.connect(socketPath);
    const settle = (live: boolean): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(live);
    };
    // No answer at all: a stopped process still owns the socket.
    const timer = setTimeout(() => settle(true), LIVENESS_PROBE_TIMEOUT_MS);
    probe.once('connect', () => settle(true));
    probe.once('error', () => settle(false));
  });
  if (isLive) throw new DfError('already-exists', `another daemon is listening on ${socketPath}`);
}

/** One client. Serves its requests one after the other; a message during a download is a protocol error. */
class Connection {
  readonly #reader = new FrameReader();
  #download: AbortController | undefined;
  #ended = false;

  constructor(
    private readonly socket: net.Socket,
    private readonly handler: LightHandler,
    private readonly log: LightLogger,
    private readonly idleTimeoutMs: number,
  ) {
    // 'close' always follows; the message is only of interest to somebody debugging.
    socket.on('error', (error) => log.debug({ err: error }, 'light connection broke'));
  }

  serve(): void {
    this.socket.setTimeout(this.idleTimeoutMs, () => {
      if (this.#download === undefined) {
        this.refuse(new DfError('deadline-exceeded', `no request within ${this.idleTimeoutMs} ms`));
      }
    });
    this.socket.on('data', (chunk) => this.#receive(chunk));
    // A client that ends its side has gone: dfget keeps the connection open until it has its answer.
    this.socket.once('end', () => this.#abort('client closed the connection'));
    this.socket.once('close', () => this.#abort('client closed the connection'));
  }

  /** Tells why and ends the connection; a download under way is aborted. */
  refuse(reason: DfError, drainTimeoutMs = DRAIN_TIMEOUT_MS): void {
    this.#send(errorMessage(reason));
    this.#end(drainTimeoutMs);
    this.#abort(reason.message);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    let messages: JsonObject[];
    try {
      messages = this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.refuse(new DfError('invalid-argument', `bad frame: ${error.message}`, { cause: error }));
      return;
    }
    for (const message of messages) {
      if (this.#ended) return;
      this.#dispatch(message);
    }
  }

  #dispatch(raw: JsonObject): void {
    if (this.#download !== undefined) {
      this.refuse(new DfError('failed-precondition', 'a download is under way on this connection'));
      return;
    }
    try {
      const message = parseClientMessage(raw);
      if (message.type === 'hello') {
        this.#send({ type: 'hello', ...this.handler.hello() });
        return;
      }
      void this.#run(message.request);
    } catch (error) {
      this.refuse(DfError.from(error));
    }
  }

  /** Never rejects: whatever the handler throws goes to the client. */
  async #run(request: LightDownloadRequest): Promise<void> {
    const controller = new AbortController();
    this.#download = controller;
    let last: DoneMessage | ErrorMessage;
    try {
      last = await this.handler.download(request, (message) => this.#emit(message), controller.signal);
    } catch (error) {
      const failure = DfError.from(error);
      this.log.debug({ err: failure }, 'light download failed');
      last = errorMessage(failure);
    }
    this.#download = undefined;
    this.#send(last);
    // The idle clock starts anew after the answer.
    if (!this.#ended) this.socket.setTimeout(this.idleTimeoutMs);
  }

  #emit(message: StartedMessage | ProgressMessage): void {
    if (message.type === 'progress' && this.socket.writableLength > MAX_UNREAD_BYTES) return;
    this.#send(message);
  }

  #send(message: DaemonMessage): void {
    if (this.#ended || !this.socket.writable) return;
    let frame: Buffer;
    try {
      frame = encodeMessage(message);
    } catch (error) {
      // Only details can be this long (an origin's header dump); the code and the message still go out.
      if (message.type !== 'error') throw error;
      frame = encodeMessage({ type: 'error', code: message.code, message: message.message.slice(0, 4096) });
    }
    this.socket.write(frame);
  }

  #end(drainTimeoutMs: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.socket.end();
    const timer = setTimeout(() => this.socket.destroy(), drainTimeoutMs);
    timer.unref();
    this.socket.once('close', () => clearTimeout(timer));
    // Input is not wanted any more, but it must be read so that the peer's close is noticed.
    this.socket.resume();
  }

  #abort(reason: string): void {
    this.#download?.abort(new DfError('cancelled', reason));
  }
}

function errorMessage(error: DfError): ErrorMessage {
  return { type: 'error', code: error.code, message: error.message, details: plainDetails(error) };
}

/** Details as they can be sent: details that JSON cannot carry (cycles, bigint) are left out rather than lose the error. */
function plainDetails(error: DfError): Record<string, unknown> {
  const sendable: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error.details)) {
    try {
      JSON.stringify(value);
      sendable[key] = value;
    } catch {
      sendable[key] = String(value);
    }
  }
  return sendable;
}
