import type { ParentConnection } from './parent-connection.js';

/** Bounds of {@link IdleConnections}. */
export interface IdleConnectionsOptions {
  readonly idleTimeoutMs: number;
  readonly maxIdlePerAddress: number;
  readonly maxIdle: number;
}

interface Entry {
  readonly connection: ParentConnection;
  readonly timer: NodeJS.Timeout;
}

/**
 * Connections that wait for their next request, by address. The newest is used first, so that the others grow old and
 * go; over a bound the oldest goes at once.
 */
export class IdleConnections {
  /** Entries of an address in order of becoming idle; addresses in order of their oldest use. Never an empty list. */
  private readonly byAddress = new Map<string, Entry[]>();
  private count = 0;

  constructor(private readonly options: IdleConnectionsOptions) {}

  get size(): number {
    return this.count;
  }

  /** Takes out the newest usable connection to the address. */
  take(address: string): ParentConnection | undefined {
    for (;;) {
      const entry = this.byAddress.get(address)?.at(-1);
      if (entry === undefined) return undefined;
      this.remove(address, entry.connection);
      if (entry.connection.isUsable) {
        entry.connection.setKeepsProcessAlive(true);
        return entry.connection;
      }
    }
  }

  /** Keeps a connection for later; closes it if it is not usable. */
  put(address: string, connection: ParentConnection): void {
    if (!connection.isUsable) {
      connection.destroy();
      return;
    }
    connection.setKeepsProcessAlive(false);
    const timer = setTimeout(() => this.drop(address, connection), this.options.idleTimeoutMs);
    timer.unref();
    const entries = this.byAddress.get(address) ?? [];
    entries.push({ connection, timer });
    this.byAddress.set(address, entries);
    this.count++;
    const oldest = entries[0];
    if (entries.length > this.options.maxIdlePerAddress && oldest !== undefined) this.drop(address, oldest.connection);
    if (this.count > this.options.maxIdle) this.dropAny();
  }

  /** Forgets a connection, for instance because it was closed. */
  remove(address: string, connection: ParentConnection): void {
    const entries = this.byAddress.get(address) ?? [];
    const index = entries.findIndex((entry) => entry.connection === connection);
    if (index < 0) return;
    clearTimeout(entries[index]?.timer);
    entries.splice(index, 1);
    this.count--;
    if (entries.length === 0) this.byAddress.delete(address);
  }

  private drop(address: string, connection: ParentConnection): void {
    this.remove(address, connection);
    connection.destroy();
  }

  /** Closes the oldest connection of the address that has been known for longest. */
  private dropAny(): void {
    for (const [address, entries] of this.byAddress) {
      const oldest = entries[0];
      if (oldest !== undefined) this.drop(address, oldest.connection);
      return;
    }
  }
}
