import { DfError } from '@dragonfly/errors';

/** Someone who waits in line. */
export interface Waiter<Want, Grant> {
  readonly want: Want;
  readonly grant: (value: Grant) => void;
}

/**
 * A bounded line of promises, served strictly in order. A waiter whose signal fires leaves the line.
 */
export class FifoWaiters<Want, Grant> {
  private readonly line = new Set<Waiter<Want, Grant>>();

  /** @param what names the line in the error when it is full */
  constructor(
    private readonly maxWaiters: number,
    private readonly what: string,
  ) {}

  get length(): number {
    return this.line.size;
  }

  /** The one who is next, without removing it. */
  peek(): Waiter<Want, Grant> | undefined {
    return this.line.values().next().value;
  }

  /** Gives the next one what it waited for. Does nothing when nobody waits. */
  grantNext(value: Grant): void {
    const next = this.peek();
    if (next === undefined) return;
    this.line.delete(next);
    next.grant(value);
  }

  /**
   * Gets in line.
   *
   * @param onLeave called when the signal takes the waiter out of the line
   * @throws DfError `resource-exhausted` when the line is full, `cancelled` when the signal fires
   */
  wait(want: Want, signal?: AbortSignal, onLeave?: () => void): Promise<Grant> {
    if (signal?.aborted === true) return Promise.reject(this.cancelled(signal));
    if (this.line.size >= this.maxWaiters) {
      return Promise.reject(
        new DfError('resource-exhausted', `more than ${this.maxWaiters} are waiting for ${this.what}`),
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.line.delete(waiter);
        onLeave?.();
        reject(this.cancelled(signal));
      };
      const waiter: Waiter<Want, Grant> = {
        want,
        grant: (value) => {
          signal?.removeEventListener('abort', leave);
          resolve(value);
        },
      };
      this.line.add(waiter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  private cancelled(signal: AbortSignal | undefined): DfError {
    return new DfError('cancelled', `cancelled while waiting for ${this.what}`, { cause: signal?.reason });
  }
}
