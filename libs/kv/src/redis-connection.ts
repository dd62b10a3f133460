import { DfError } from '@dragonfly/errors';
import type { Redis } from 'ioredis';

/** Longest wait for a server that has just not answered or has been away for long, in ms. */
const IMPATIENT_MS = 250;

/** One ioredis client; runs commands with a deadline and turns what ioredis throws into a DfError. */
export class RedisConnection {
  private becomesReady: Promise<void> | undefined;
  /** Since when commands find no connection, in ms; undefined while there is one. */
  private awaySinceMs: number | undefined;
  /** The last command got no answer in time, over a connection that is there. */
  private isSilent = false;

  constructor(
    readonly redis: Redis,
    private readonly timeoutMs: number,
  ) {}

  /** A second connection with the same settings. */
  duplicate(): RedisConnection {
    return new RedisConnection(this.redis.duplicate(), this.timeoutMs);
  }

  /**
   * Waits for the connection, then runs the command; both together within the deadline. Of a server that is away, or does
   * not answer, only the first callers find that out by waiting: a request that asks several things would wait each time.
   */
  async run<T>(what: string, signal: AbortSignal | undefined, command: () => Promise<T>): Promise<T> {
    if (signal?.aborted) {
      throw DfError.from(signal.reason, 'cancelled');
    }
    const interruption = new AbortController();
    const interrupted = new Promise<never>((_resolve, reject) => {
      interruption.signal.addEventListener('abort', () => reject(interruption.signal.reason as Error), { once: true });
    });
    const patienceMs = this.patienceMs();
    const timer = setTimeout(() => {
      const isConnected = this.redis.status === 'ready';
      this.isSilent = isConnected;
      interruption.abort(
        new DfError(
          isConnected ? 'deadline-exceeded' : 'unavailable',
          `redis ${what}: no ${isConnected ? 'answer' : 'connection'} within ${patienceMs} ms`,
        ),
      );
    }, patienceMs);
    const onAbort = (): void => interruption.abort(DfError.from(signal?.reason, 'cancelled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.whenReady(), interrupted]);
      const answer = await Promise.race([command(), interrupted]);
      this.isSilent = false;
      return answer;
    } catch (error) {
      // An error is a word of the server too.
      this.isSilent &&= interruption.signal.aborted;
      throw toDfError(what, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private patienceMs(): number {
    const impatientMs = Math.min(IMPATIENT_MS, this.timeoutMs);
    if (this.redis.status === 'ready') {
      return this.isSilent ? impatientMs : this.timeoutMs;
    }
    const nowMs = performance.now();
    this.awaySinceMs ??= nowMs;
    return Math.max(impatientMs, Math.round(this.awaySinceMs + this.timeoutMs - nowMs));
  }

  private whenReady(): Promise<void> {
    const { redis } = this;
    if (redis.status === 'ready') {
      this.awaySinceMs = undefined;
      return Promise.resolve();
    }
    if (redis.status === 'end') {
      return Promise.reject(new DfError('unavailable', 'redis: the connection is closed'));
    }
    if (redis.status === 'wait') {
      // The first failure rejects here and is told by the 'error' event too; the reconnect loop goes on regardless.
      redis.connect().catch(() => undefined);
    }
    this.becomesReady ??= new Promise((resolve, reject) => {
      const settle = (): void => {
        redis.off('ready', onReady);
        redis.off('end', onEnd);
        this.becomesReady = undefined;
      };
      const onReady = (): void => {
        settle();
        this.awaySinceMs = undefined;
        this.isSilent = false;
        resolve();
      };
      const onEnd = (): void => {
        settle();
        reject(new DfError('unavailable', 'redis: the connection is closed'));
      };
      redis.on('ready', onReady);
      redis.on('end', onEnd);
    });
    return this.becomesReady;
  }
}

function toDfError(what: string, error: unknown): DfError {
  if (error instanceof DfError) {
    return error;
  }
  const message = Error.isError(error) ? error.message : String(error);
  if (/not an integer/.test(message)) {
    return new DfError('failed-precondition', `redis ${what}: ${message}`, { cause: error });
  }
  if (message.startsWith('WRONGTYPE')) {
    return new DfError('failed-precondition', `redis ${what}: ${message}`, { cause: error });
  }
  if (/^(NOAUTH|WRONGPASS|NOPERM)/.test(message)) {
    return new DfError('permission-denied', `redis ${what}: ${message}`, { cause: error });
  }
  return new DfError('unavailable', `redis ${what}: ${message}`, { cause: error, retryable: true });
}
