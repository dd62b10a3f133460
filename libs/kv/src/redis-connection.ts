import { DfError } from '@dragonfly/errors';
import type { Redis } from 'ioredis';

/** One ioredis client; runs commands with a deadline and turns what ioredis throws into a DfError. */
export class RedisConnection {
  private becomesReady: Promise<void> | undefined;

  constructor(
    readonly redis: Redis,
    private readonly timeoutMs: number,
  ) {}

  /** A second connection with the same settings. */
  duplicate(): RedisConnection {
    return new RedisConnection(this.redis.duplicate(), this.timeoutMs);
  }

  /** Waits for the connection, then runs the command; both together within the deadline. */
  async run<T>(what: string, signal: AbortSignal | undefined, command: () => Promise<T>): Promise<T> {
    if (signal?.aborted) {
      throw DfError.from(signal.reason, 'cancelled');
    }
    const interruption = new AbortController();
    const interrupted = new Promise<never>((_resolve, reject) => {
      interruption.signal.addEventListener('abort', () => reject(interruption.signal.reason as Error), { once: true });
    });
    const timer = setTimeout(
      () =>
        interruption.abort(
          new DfError(
            this.redis.status === 'ready' ? 'deadline-exceeded' : 'unavailable',
            `redis ${what}: ${this.redis.status === 'ready' ? 'no answer' : 'no connection'} within ${this.timeoutMs} ms`,
          ),
        ),
      this.timeoutMs,
    );
    const onAbort = (): void => interruption.abort(DfError.from(signal?.reason, 'cancelled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.whenReady(), interrupted]);
      return await Promise.race([command(), interrupted]);
    } catch (error) {
      throw toDfError(what, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private whenReady(): Promise<void> {
    const { redis } = this;
    if (redis.status === 'ready') {
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
