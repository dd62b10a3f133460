import { DfError, isErrorCode } from '@dragonfly/errors';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessage, FrameReader, type JsonObject } from './frame.js';
import {
  LIGHT_PROTOCOL_VERSION,
  type ClientMessage,
  type DaemonMessage,
  type DoneMessage,
  type ErrorMessage,
  type HelloMessage,
  type LightDownloadRequest,
  type ProgressMessage,
  type StartedMessage,
} from './messages.js';
import { parseDaemonMessage } from './validate.js';

/** A local socket accepts at once or not at all; the same bound as towards the gRPC socket. */
const DEFAULT_CONNECT_TIMEOUT_MS = 3_000;
const DEFAULT_HELLO_TIMEOUT_MS = 3_000;
/** Mean pause before a socket is tried again whose backlog is full of others. */
const FULL_RETRY_MS = 20;

export interface LightConnectOptions {
  /** @default 3000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface LightDownloadObserver {
  readonly onStarted?: (message: StartedMessage) => void;
  readonly onProgress?: (message: ProgressMessage) => void;
  /** Aborting closes the connection, which makes the daemon stop. */
  readonly signal?: AbortSignal;
}

/**
 * dfget's side of the light protocol: one connection, one exchange at a time.
 *
 * Errors told by the daemon are DfErrors with the daemon's code, message and details. A connection that breaks is a
 * DfError `unavailable` with `details.isConnectionLost`, an answer that breaks the protocol one of code `internal`.
 */
export class LightClient {
  readonly #reader = new FrameReader();
  #receive: ((message: DaemonMessage) => void) | undefined;
  #fail: ((error: DfError) => void) | undefined;
  #failure: DfError | undefined;

  private constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#onFailure(connectionLost(error)));
    socket.on('close', () => this.#onFailure(connectionLost()));
  }

  /**
   * @param path unix socket of the daemon's light protocol
   * @throws DfError `unavailable` with `details.errno` (`ENOENT`: no socket, `ECONNREFUSED`: no daemon behind it, …),
   * `permission-denied`, `deadline-exceeded`, or `cancelled`
   */
  static async connect(path: string, options: LightConnectOptions = {}): Promise<LightClient> {
    const { timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS, signal } = options;
    const giveUpAtMs = monotonicMs() + timeoutMs;
    for (;;) {
      try {
        return await LightClient.#connectOnce(path, giveUpAtMs - monotonicMs(), signal);
      } catch (error) {
        const isFull = DfError.from(error).details['errno'] === 'EAGAIN';
        if (!isFull || monotonicMs() + FULL_RETRY_MS > giveUpAtMs) throw error;
      }
      // Unlike a TCP connection, one to a unix socket with a full backlog is refused at once instead of waiting.
      await sleep(FULL_RETRY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => {
        throw cancelled(signal);
      });
    }
  }

  static #connectOnce(path: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<LightClient> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(cancelled(signal));
        return;
      }
      const socket = net.connect(path);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        socket.removeAllListeners();
      };
      const giveUp = (error: DfError): void => {
        settle();
        // A late error of a socket nobody waits for is of no interest.
        socket.on('error', () => undefined);
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => giveUp(cancelled(signal));
      const timer = setTimeout(
        () => giveUp(new DfError('deadline-exceeded', `${path} did not accept within ${timeoutMs} ms`)),
        timeoutMs,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        const code = error.code === 'EACCES' || error.code === 'EPERM' ? 'permission-denied' : 'unavailable';
        giveUp(
          new DfError(code, `cannot connect to ${path}: ${error.message}`, {
            cause: error,
            details: { errno: error.code },
          }),
        );
      });
      socket.once('connect', () => {
        settle();
        resolve(new LightClient(socket));
      });
    });
  }

  /** Asks who is there. */
  hello(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<HelloMessage> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_HELLO_TIMEOUT_MS;
    return this.#exchange<HelloMessage>(
      { v: LIGHT_PROTOCOL_VERSION, type: 'hello' },
      (message, finish) => {
        if (message.type === 'hello') finish(message);
      },
      { signal: options.signal, timeoutMs },
    );
  }

  /**
   * Downloads. There is no time limit here: the request carries its own, and the daemon keeps it.
   * @returns once the output is complete and visible
   */
  download(request: LightDownloadRequest, observer: LightDownloadObserver = {}): Promise<DoneMessage> {
    return this.#exchange<DoneMessage>(
      { v: LIGHT_PROTOCOL_VERSION, type: 'download', request },
      (message, finish) => {
        if (message.type === 'started') observer.onStarted?.(message);
        else if (message.type === 'progress') observer.onProgress?.(message);
        else if (message.type === 'done') finish(message);
      },
      { signal: observer.signal },
    );
  }

  /** Closes the connection; a download under way is cancelled by that. */
  close(): void {
    this.#onFailure(new DfError('cancelled', 'connection was closed'));
    this.socket.destroy();
  }

  #exchange<Answer>(
    request: ClientMessage,
    onMessage: (message: Exclude<DaemonMessage, ErrorMessage>, finish: (answer: Answer) => void) => void,
    options: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<Answer> {
    const { signal, timeoutMs } = options;
    return new Promise<Answer>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      if (signal?.aborted === true) return reject(cancelled(signal));
      if (this.#receive !== undefined) return reject(new DfError('failed-precondition', 'an exchange is under way'));
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#receive = undefined;
        this.#fail = undefined;
      };
      const fail = (error: DfError): void => {
        settle();
        reject(error);
      };
      const breakOff = (error: DfError): void => {
        this.#onFailure(error);
        this.socket.destroy();
      };
      const onAbort = (): void => breakOff(cancelled(signal));
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => breakOff(new DfError('deadline-exceeded', `no answer within ${timeoutMs} ms`)), timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#fail = fail;
      this.#receive = (message) => {
        if (message.type === 'error') {
          fail(daemonError(message));
          return;
        }
        onMessage(message, (answer) => {
          settle();
          resolve(answer);
        });
      };
      this.socket.write(encodeMessage(request));
    });
  }

  #onData(chunk: Uint8Array): void {
    let messages: JsonObject[];
    try {
      messages = this.#reader.push(chunk);
      for (const raw of messages) {
        const message = parseDaemonMessage(raw);
        if (message !== undefined) this.#receive?.(message);
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#onFailure(
        new DfError('internal', `daemon's answer breaks the light protocol: ${detail}`, { cause: error }),
      );
      this.socket.destroy();
    }
  }

  #onFailure(error: DfError): void {
    this.#failure ??= error;
    this.#fail?.(this.#failure);
  }
}

function connectionLost(cause?: unknown): DfError {
  return new DfError('unavailable', 'connection to the daemon was lost', {
    cause,
    details: { isConnectionLost: true },
  });
}

function cancelled(signal: AbortSignal | undefined): DfError {
  return new DfError('cancelled', 'cancelled', { cause: signal?.reason });
}

function daemonError(message: ErrorMessage): DfError {
  const code = isErrorCode(message.code) ? message.code : 'internal';
  return new DfError(code, message.message, { details: message.details });
}

/** Not performance.now(): loading what it belongs to costs dfget a millisecond of its start. */
function monotonicMs(): number {
  return process.uptime() * 1000;
}
