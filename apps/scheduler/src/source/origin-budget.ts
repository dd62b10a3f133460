import { DfError } from '@dragonfly/errors';
import type { KeyValueStore } from '@dragonfly/kv';
import type { Clock, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';

/** What all readers of one origin may do together, in the whole cluster. 0: no limit. */
export interface OriginLimits {
  readonly bytesPerSecond: number;
  readonly concurrentRequests: number;
}

/** What one reader may do. 0: no limit. */
export type Allowance = OriginLimits;

const UNLIMITED: Allowance = { bytesPerSecond: 0, concurrentRequests: 0 };

/** Shares what an origin may be asked for among those that read it. */
export interface OriginBudget {
  /** One more reader wants to begin. @returns false when there are as many as requests are allowed */
  enter(origin: string): boolean | Promise<boolean>;
  /** One that was let in has ended. */
  leave(origin: string): void;
  /** What each reader of the origin may do now; asked again from time to time. */
  allowanceOf(origin: string): Allowance;
  close(): void;
}

/** Limits nothing. */
export const NO_BUDGET: OriginBudget = {
  enter: () => true,
  leave: () => undefined,
  allowanceOf: () => UNLIMITED,
  close: () => undefined,
};

/**
 * Scheme, host and port of a source, which is what a limit is for.
 * @returns the URL itself when it has no host: it is an origin of its own
 */
export function originOf(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return host === '' ? url : `${protocol}//${host}`;
  } catch {
    return url; // What is no URL is refused elsewhere.
  }
}

/** How often schedulers tell each other their readers; an allowance is out of date for no longer. */
const EXCHANGE_INTERVAL_MS = 1000;
/** A scheduler that has not told for this long has no readers any more. */
const SILENCE_MS = 10_000;
/** Tries to change a table that others change at the same time. */
const MAX_CHANGES = 20;

export interface SharedOriginBudgetOptions {
  /** Asked anew each time: the cluster may change them. */
  readonly limits: () => OriginLimits;
  /** Undefined: this scheduler is alone. */
  readonly store: KeyValueStore | undefined;
  readonly prefix: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Origin {
  /** Readers that this scheduler has let in. */
  readers: number;
  /** Those that are asking to be let in. */
  entering: number;
  /** Those of other schedulers, when last heard. */
  others: number;
  /** Per other scheduler: its last sequence number, and when that was new, by this process's clock. */
  readonly seen: Map<string, { readonly sequence: number; readonly atMs: number }>;
  isExchanging: boolean;
}

/** In the store: readers of one origin by scheduler, with a number that rises while the scheduler lives. */
type Table = Record<string, readonly [readers: number, sequence: number]>;

/**
 * Equal shares for all readers of an origin. Who comes is counted in one table for each origin, which the schedulers of a
 * cluster change one after the other, so that never more are let in than requests are allowed; a reader that is in has at
 * least one request. Shares of bandwidth follow within {@link EXCHANGE_INTERVAL_MS}.
 */
export class SharedOriginBudget implements OriginBudget {
  readonly #origins = new Map<string, Origin>();
  #timer: Timer | undefined;
  #sequence = 0;
  #isWarned = false;
  #isClosed = false;

  constructor(private readonly options: SharedOriginBudgetOptions) {
    if (options.store !== undefined) this.#exchangeLater();
  }

  enter(origin: string): boolean | Promise<boolean> {
    const entry = this.#entryOf(origin);
    const { store } = this.options;
    // Who comes while there is no limit is counted when there is one: by the next exchange.
    if (store === undefined || !this.#isLimited) {
      const isAdmitted = this.#enterLocally(entry);
      this.#tidy(origin, entry);
      return isAdmitted;
    }
    // Counted until it is decided: the last reader may leave meanwhile, and the origin must not be forgotten for it.
    entry.entering += 1;
    return this.#exchange(store, origin, entry, 1).finally(() => {
      entry.entering -= 1;
      this.#tidy(origin, entry);
    });
  }

  leave(origin: string): void {
    const entry = this.#origins.get(origin);
    if (entry === undefined) return;
    entry.readers = Math.max(0, entry.readers - 1);
    const { store } = this.options;
    if (store !== undefined && this.#isLimited) {
      void this.#exchange(store, origin, entry, 0).then(() => {
        this.#tidy(origin, entry);
      });
    } else this.#tidy(origin, entry);
  }

  allowanceOf(origin: string): Allowance {
    const limits = this.options.limits();
    const entry = this.#origins.get(origin);
    const readers = Math.max(1, (entry?.readers ?? 0) + (entry?.others ?? 0));
    return {
      bytesPerSecond: limits.bytesPerSecond === 0 ? 0 : Math.max(1, Math.floor(limits.bytesPerSecond / readers)),
      concurrentRequests:
        limits.concurrentRequests === 0 ? 0 : Math.max(1, Math.floor(limits.concurrentRequests / readers)),
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  get #isLimited(): boolean {
    const { bytesPerSecond, concurrentRequests } = this.options.limits();
    return bytesPerSecond > 0 || concurrentRequests > 0;
  }

  #entryOf(origin: string): Origin {
    let entry = this.#origins.get(origin);
    if (entry === undefined) {
      entry = { readers: 0, entering: 0, others: 0, seen: new Map(), isExchanging: false };
      this.#origins.set(origin, entry);
    }
    return entry;
  }

  #tidy(origin: string, entry: Origin): void {
    const isUnused = entry.readers === 0 && entry.entering === 0;
    if (isUnused && this.#origins.get(origin) === entry) this.#origins.delete(origin);
  }

  #enterLocally(entry: Origin): boolean {
    if (!this.#hasRoom(entry)) return false;
    entry.readers += 1;
    return true;
  }

  #hasRoom(entry: Origin): boolean {
    const { concurrentRequests } = this.options.limits();
    return concurrentRequests === 0 || entry.readers + entry.others < concurrentRequests;
  }

  #exchangeLater(): void {
    const { store, clock } = this.options;
    this.#timer = clock.after(EXCHANGE_INTERVAL_MS, () => {
      const work = (this.#isLimited ? [...this.#origins] : []).map(async ([origin, entry]) => {
        if (store === undefined || entry.isExchanging || entry.readers === 0) return;
        entry.isExchanging = true;
        await this.#exchange(store, origin, entry, 0);
        entry.isExchanging = false;
      });
      void Promise.all(work).then(() => {
        if (!this.#isClosed) this.#exchangeLater();
      });
    });
  }

  /**
   * Tells the others how many read here, and hears how many read there.
   * @param more readers that want to begin here
   * @returns whether there was room for them
   */
  async #exchange(store: KeyValueStore, origin: string, entry: Origin, more: 0 | 1): Promise<boolean> {
    const key = `${this.options.prefix}origin:${origin}`.slice(0, 1024);
    try {
      for (let change = 1; change <= MAX_CHANGES; change += 1) {
        const before = await store.get(key);
        const table = this.#livingIn(parseTable(before), entry);
        entry.others = Object.values(table).reduce((sum, [readers]) => sum + readers, 0);
        if (more === 1 && !this.#hasRoom(entry)) return false;
        const readers = entry.readers + more;
        const sequence = (this.#sequence += 1);
        const after = JSON.stringify({
          ...table,
          ...(readers > 0 ? { [this.options.instance]: [readers, sequence] } : {}),
        });
        const options = { ttlMs: SILENCE_MS };
        const isWritten =
          before === undefined
            ? await store.setIfAbsent(key, after, options)
            : await store.compareAndSet(key, before, after, options);
        // Others of this process may have come and gone while the store was asked.
        if (isWritten && entry.readers + more === readers) {
          entry.readers = readers;
          this.#isWarned = false;
          return true;
        }
      }
      throw new DfError('unavailable', 'too many schedulers change the readers of one origin at the same time');
    } catch (error) {
      if (!this.#isWarned && !this.#isClosed) {
        this.options.log.warn(
          { origin, reason: DfError.from(error).message },
          'the readers of an origin cannot be counted together with other schedulers: each counts its own',
        );
      }
      this.#isWarned = true;
      return more === 0 || this.#enterLocally(entry);
    }
  }

  /** The table without this scheduler and without those that have fallen silent. */
  #livingIn(table: Table, entry: Origin): Table {
    const nowMs = this.options.clock.nowMs();
    const living: Record<string, readonly [number, number]> = {};
    for (const [instance, [readers, sequence]] of Object.entries(table)) {
      if (instance === this.options.instance) continue;
      const seen = entry.seen.get(instance);
      const isNew = seen?.sequence !== sequence;
      if (isNew) entry.seen.set(instance, { sequence, atMs: nowMs });
      if (isNew || nowMs - seen.atMs < SILENCE_MS) living[instance] = [readers, sequence];
    }
    for (const instance of entry.seen.keys()) if (!(instance in table)) entry.seen.delete(instance);
    return living;
  }
}

/** What cannot be read counts as empty. */
function parseTable(text: string | undefined): Table {
  if (text === undefined) return {};
  try {
    const parsed = JSON.parse(text) as unknown;
    if (typeof parsed !== 'object' || parsed === null) return {};
    const entries = Object.entries(parsed).filter(
      (entry): entry is [string, [number, number]] =>
        Array.isArray(entry[1]) && entry[1].length === 2 && entry[1].every((value) => Number.isSafeInteger(value)),
    );
    return Object.fromEntries(entries);
  } catch {
    return {};
  }
}
