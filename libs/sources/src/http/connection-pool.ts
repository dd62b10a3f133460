import { DfError } from '@dragonfly/errors';
import { Connection, type ConnectOptions, type Route } from './connection.js';

export interface ConnectionPoolOptions {
  /** Connections to one origin at one time; further requests wait. */
  readonly maxConnectionsPerOrigin: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** An unused connection is closed after this; shorter than what servers usually allow. */
  readonly keepAliveMs: number;
}

interface Slot {
  /** In use, being opened, or handed over to somebody who waited. */
  busy: number;
  readonly idle: { readonly connection: Connection; readonly timer: NodeJS.Timeout }[];
  readonly waiting: (() => void)[];
}

/** Connections by route, most recently used first. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #slots = new Map<string, Slot>();
  #isClosed = false;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  /**
   * @param fresh do not reuse: the last kept connection turned out to be dead
   * @throws DfError as `Connection.open`; `cancelled` also while waiting for a place
   */
  async acquire(route: Route, signal: AbortSignal, fresh: boolean): Promise<Connection> {
    const slot = this.#slotOf(route.key);
    if (slot.busy < this.#options.maxConnectionsPerOrigin) slot.busy += 1;
    else await waitForPlace(slot, signal);
    for (let kept = slot.idle.pop(); kept !== undefined; kept = slot.idle.pop()) {
      clearTimeout(kept.timer);
      kept.connection.socket.ref();
      if (kept.connection.isReusable && !fresh) return kept.connection;
      kept.connection.destroy();
    }
    try {
      const options: ConnectOptions = {
        connectTimeoutMs: this.#options.connectTimeoutMs,
        idleTimeoutMs: this.#options.idleTimeoutMs,
        signal,
      };
      return await Connection.open(route, options);
    } catch (error) {
      this.#leave(route.key, slot);
      throw error;
    }
  }

  /** Every acquired connection comes back, once. @param reuse its last answer was read to the end */
  release(route: Route, connection: Connection, reuse: boolean): void {
    const slot = this.#slotOf(route.key);
    if (reuse && !this.#isClosed && connection.isReusable) {
      const entry = {
        connection,
        timer: setTimeout(() => {
          slot.idle.splice(slot.idle.indexOf(entry), 1);
          connection.destroy();
          this.#forgetIfUnused(route.key, slot);
        }, this.#options.keepAliveMs),
      };
      entry.timer.unref();
      connection.socket.unref();
      connection.reader.watch();
      slot.idle.push(entry);
    } else {
      connection.destroy();
    }
    this.#leave(route.key, slot);
  }

  close(): void {
    this.#isClosed = true;
    for (const [key, slot] of this.#slots) {
      for (const { connection, timer } of slot.idle.splice(0)) {
        clearTimeout(timer);
        connection.destroy();
      }
      this.#forgetIfUnused(key, slot);
    }
  }

  #slotOf(key: string): Slot {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot: Slot = { busy: 0, idle: [], waiting: [] };
    this.#slots.set(key, slot);
    return slot;
  }

  #leave(key: string, slot: Slot): void {
    const next = slot.waiting.shift();
    // A place is handed over and never free in between: nobody comes first, and the slot is not forgotten meanwhile.
    if (next !== undefined) next();
    else slot.busy -= 1;
    this.#forgetIfUnused(key, slot);
  }

  #forgetIfUnused(key: string, slot: Slot): void {
    if (slot.busy === 0 && slot.idle.length === 0 && slot.waiting.length === 0) this.#slots.delete(key);
  }
}

/** Resolves when a place is the caller's. */
function waitForPlace(slot: Slot, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(DfError.from(signal.reason, 'cancelled'));
      return;
    }
    const onPlace = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = (): void => {
      slot.waiting.splice(slot.waiting.indexOf(onPlace), 1);
      reject(DfError.from(signal.reason, 'cancelled'));
    };
    slot.waiting.push(onPlace);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
