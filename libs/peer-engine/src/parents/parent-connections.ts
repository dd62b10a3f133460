import type { dfdaemonV2 } from '@dragonfly/proto';

/** A connection nobody uses is closed after this time. */
const IDLE_TIMEOUT_MS = 60_000;
/** Connections kept at most, used or not; the longest idle one goes first. */
const MAX_CONNECTIONS = 2000;

export interface ParentConnection {
  readonly client: dfdaemonV2.DfdaemonUploadClient;
  /** To be called exactly once. */
  release(): void;
}

interface Entry {
  readonly client: dfdaemonV2.DfdaemonUploadClient;
  users: number;
  idleTimer: NodeJS.Timeout | undefined;
}

/** Control connections (gRPC) to other peers, one an address, shared by all downloads. */
export class ParentConnections {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly connect: (address: string) => dfdaemonV2.DfdaemonUploadClient) {}

  acquire(address: string): ParentConnection {
    const entry = this.entries.get(address) ?? this.open(address);
    entry.users += 1;
    clearTimeout(entry.idleTimer);
    let isReleased = false;
    return {
      client: entry.client,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        entry.users -= 1;
        if (entry.users > 0 || this.entries.get(address) !== entry) return;
        // To the end of the map: the first idle entry is the longest idle one.
        this.entries.delete(address);
        this.entries.set(address, entry);
        entry.idleTimer = setTimeout(() => {
          this.close(address, entry);
        }, IDLE_TIMEOUT_MS).unref();
        this.shrink();
      },
    };
  }

  close(address?: string, entry?: Entry): void {
    for (const [key, candidate] of this.entries) {
      if (address !== undefined && (key !== address || candidate !== entry)) continue;
      clearTimeout(candidate.idleTimer);
      this.entries.delete(key);
      candidate.client.close();
    }
  }

  private open(address: string): Entry {
    const entry: Entry = { client: this.connect(address), users: 0, idleTimer: undefined };
    this.entries.set(address, entry);
    return entry;
  }

  private shrink(): void {
    if (this.entries.size <= MAX_CONNECTIONS) return;
    for (const [address, entry] of this.entries) {
      if (entry.users === 0) {
        this.close(address, entry);
        return;
      }
    }
  }
}
