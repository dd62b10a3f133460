/** A connection nobody uses is closed after this time. */
const IDLE_TIMEOUT_MS = 60_000;
/** Connections kept at most, used or not; the longest idle one goes first. */
const MAX_CONNECTIONS = 2000;

/** A client that others may be using too. */
export interface SharedClient<C> {
  readonly client: C;
  /**
   * To be called once.
   * @param isBroken whoever asks next gets a connection of his own instead of waiting for this one's to be tried again
   */
  release(isBroken?: boolean): void;
}

interface Entry<C> {
  readonly client: C;
  users: number;
  idleTimer: NodeJS.Timeout | undefined;
}

/** gRPC clients, one an address, shared by all who speak to it and kept for a while for those who come next. */
export class SharedClients<C extends { close(): void }> {
  readonly #entries = new Map<string, Entry<C>>();

  constructor(private readonly connect: (address: string) => C) {}

  acquire(address: string): SharedClient<C> {
    const entry = this.#entries.get(address) ?? this.#open(address);
    entry.users += 1;
    clearTimeout(entry.idleTimer);
    let isReleased = false;
    return {
      client: entry.client,
      release: (isBroken = false) => {
        if (isReleased) return;
        isReleased = true;
        entry.users -= 1;
        const isKept = this.#entries.get(address) === entry;
        if (isBroken && isKept) this.#entries.delete(address);
        if (entry.users > 0) return;
        if (isBroken || !isKept) entry.client.close();
        else this.#keep(address, entry);
      },
    };
  }

  /** Closes every one, also those in use. */
  close(): void {
    for (const [address, entry] of this.#entries) this.#drop(address, entry);
  }

  #open(address: string): Entry<C> {
    const entry: Entry<C> = { client: this.connect(address), users: 0, idleTimer: undefined };
    this.#entries.set(address, entry);
    return entry;
  }

  #keep(address: string, entry: Entry<C>): void {
    // To the end of the map: the first idle entry is the longest idle one.
    this.#entries.delete(address);
    this.#entries.set(address, entry);
    entry.idleTimer = setTimeout(() => {
      this.#drop(address, entry);
    }, IDLE_TIMEOUT_MS).unref();
    if (this.#entries.size <= MAX_CONNECTIONS) return;
    for (const [other, candidate] of this.#entries) {
      if (candidate.users > 0) continue;
      this.#drop(other, candidate);
      return;
    }
  }

  #drop(address: string, entry: Entry<C>): void {
    clearTimeout(entry.idleTimer);
    this.#entries.delete(address);
    entry.client.close();
  }
}
