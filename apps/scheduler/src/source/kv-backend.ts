import { DfError } from '@dragonfly/errors';
import type { KeyValueStore } from '@dragonfly/kv';
import type { Clock, LeaseHolder, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { ForeignLease, LeaseBackend, OwnedLease } from './lease-backend.js';

/** After a failure the store is left alone for this long: leases hold in this process only. */
const STORE_PAUSE_MS = 3000;
/** Renewals that are on their way at once. */
const MAX_CONCURRENT_RENEWALS = 64;

export interface KvLeaseOptions {
  readonly store: KeyValueStore;
  /** Begins every key; the same for the schedulers of one cluster. */
  readonly prefix: string;
  /** Tells this process from every other, also from itself before a restart. */
  readonly instance: string;
  /** Hosts that may read the source of one task at a time. */
  readonly limit: () => number;
  /** A lease whose scheduler is gone ends after this time. Living schedulers renew theirs every third of it. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What stands under a key. */
interface Entry {
  readonly key: string;
  /** Exactly as written: only who knows it can renew, change or delete the entry. */
  value: string;
  /** What was to stand there before; does so still when the change never reached the store. */
  former: string | undefined;
  /** The store may not have it. */
  isWritten: boolean;
  isReleased: boolean;
  /** What is being done with the key, in order. */
  work: Promise<void>;
}

/**
 * Leases in the store that the schedulers of a cluster share: one key for each, which dies with its scheduler and is
 * renewed as long as that holds the lease.
 *
 * A host whose scheduler died asks another one, which takes its lease over; everybody else waits until the key is gone.
 */
export class KvLeaseBackend implements LeaseBackend {
  readonly #entries = new Set<Entry>();
  /** Keys that are being given back; the next claim waits for that. */
  readonly #releasing = new Map<string, Promise<void>>();
  #timer: Timer | undefined;
  #pausedUntilMs = 0;
  #isClosed = false;

  constructor(private readonly options: KvLeaseOptions) {
    this.#renewLater();
  }

  async claim(taskId: string, holder: LeaseHolder): Promise<OwnedLease | ForeignLease> {
    const value = this.#valueOf(holder);
    if (this.#isPaused) return this.#own(this.#key(taskId, 0), value, false);
    try {
      return await this.#claimInStore(taskId, holder, value);
    } catch (error) {
      this.#pause(error);
      return this.#own(this.#key(taskId, 0), value, false);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await Promise.all([...this.#entries].map((entry) => entry.work));
  }

  async #claimInStore(taskId: string, holder: LeaseHolder, value: string): Promise<OwnedLease | ForeignLease> {
    const { store, ttlMs } = this.options;
    const limit = this.options.limit();
    let foreign: LeaseHolder | undefined;
    for (let slot = 0; slot < limit; slot += 1) {
      const key = this.#key(taskId, slot);
      await this.#releasing.get(key);
      if (await store.setIfAbsent(key, value, { ttlMs })) return this.#own(key, value, true);
      const found = await store.get(key);
      if (found === undefined) {
        // Gone between the two calls.
        if (await store.setIfAbsent(key, value, { ttlMs })) return this.#own(key, value, true);
        continue;
      }
      const other = holderIn(found);
      if (holder.hostId !== '' && other?.hostId === holder.hostId) {
        if (await store.compareAndSet(key, found, value, { ttlMs })) return this.#own(key, value, true);
      }
      foreign ??= other;
    }
    return { kind: 'foreign', holder: foreign ?? { hostId: '', peerId: '' } };
  }

  #own(key: string, value: string, isWritten: boolean): OwnedLease {
    const entry: Entry = { key, value, former: undefined, isWritten, isReleased: false, work: Promise.resolve() };
    this.#entries.add(entry);
    return {
      kind: 'owned',
      passTo: (holder) => {
        this.#then(entry, () => this.#write(entry, this.#valueOf(holder)));
      },
      release: () => {
        this.#release(entry);
      },
    };
  }

  #release(entry: Entry): void {
    if (entry.isReleased) return;
    entry.isReleased = true;
    this.#entries.delete(entry);
    this.#then(entry, async () => {
      const { store } = this.options;
      // Also what was not written as far as is known: the store may have done what it did not answer.
      const isGone = await store.compareAndDelete(entry.key, entry.value);
      if (!isGone && entry.former !== undefined) await store.compareAndDelete(entry.key, entry.former);
    });
    const { work, key } = entry;
    this.#releasing.set(key, work);
    void work.then(() => {
      if (this.#releasing.get(key) === work) this.#releasing.delete(key);
    });
  }

  /** Writes the value in place of the last one; an entry that the store has lost is written anew. */
  async #write(entry: Entry, value: string): Promise<void> {
    const { store, ttlMs, log } = this.options;
    const before = entry.value;
    if (value !== before) entry.former = before;
    entry.value = value;
    if (entry.isWritten && (await store.compareAndSet(entry.key, before, value, { ttlMs }))) return;
    entry.isWritten = await store.setIfAbsent(entry.key, value, { ttlMs });
    if (entry.isWritten) return;
    const found = await store.get(entry.key);
    // Ours: the answer to an earlier change was lost, whether or not that was made.
    if (found !== undefined && (found === value || found === entry.former)) {
      entry.isWritten = await store.compareAndSet(entry.key, found, value, { ttlMs });
      return;
    }
    // The reader moved to another scheduler and is known there: the same lease.
    if (found === undefined || holderIn(found)?.hostId === holderIn(value)?.hostId) return;
    log.warn({ key: entry.key, found }, 'two schedulers have let somebody read the same source');
  }

  /** One thing after the other for each key; the store's failures are no reason to lose a lease. */
  #then(entry: Entry, work: () => Promise<void>): void {
    entry.work = entry.work.then(async () => {
      if (this.#isPaused && !this.#isClosed) return;
      try {
        await work();
      } catch (error) {
        this.#pause(error);
      }
    });
  }

  #renewLater(): void {
    this.#timer = this.options.clock.after(this.options.ttlMs / 3, () => {
      void this.#renewAll().finally(() => {
        if (!this.#isClosed) this.#renewLater();
      });
    });
  }

  async #renewAll(): Promise<void> {
    const queue = [...this.#entries].values();
    await Promise.all(
      Array.from({ length: MAX_CONCURRENT_RENEWALS }, async () => {
        for (const entry of queue) {
          if (entry.isReleased || this.#isClosed) continue;
          this.#then(entry, async () => {
            if (!entry.isReleased) await this.#write(entry, entry.value);
          });
          await entry.work;
        }
      }),
    );
  }

  get #isPaused(): boolean {
    return this.options.clock.nowMs() < this.#pausedUntilMs;
  }

  #pause(error: unknown): void {
    const { clock, log } = this.options;
    if (!this.#isPaused && !this.#isClosed) {
      log.warn(
        { reason: DfError.from(error).message },
        'source leases cannot be shared with other schedulers: each bounds the readers of a source by itself',
      );
    }
    this.#pausedUntilMs = clock.nowMs() + STORE_PAUSE_MS;
  }

  #key(taskId: string, slot: number): string {
    return `${this.options.prefix}source-lease:${taskId}:${slot}`;
  }

  #valueOf(holder: LeaseHolder): string {
    return JSON.stringify({ scheduler: this.options.instance, hostId: holder.hostId, peerId: holder.peerId });
  }
}

/** @returns undefined for anything but what `#valueOf` makes */
function holderIn(value: string): LeaseHolder | undefined {
  try {
    const { hostId, peerId } = JSON.parse(value) as Record<string, unknown>;
    return typeof hostId === 'string' && typeof peerId === 'string' ? { hostId, peerId } : undefined;
  } catch {
    return undefined; // Written by somebody else: taken, by nobody known.
  }
}
