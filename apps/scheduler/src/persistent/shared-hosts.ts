import type { RecordStore, StoredRecord } from '@dragonfly/kv';
import { commonV2 } from '@dragonfly/proto';
import type { Clock } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { DurableKeys } from './durable-kind.js';
import { textOf } from './durable-records.js';
import { hostFields, hostOfFields } from './host-record.js';
import { reached } from './store-reach.js';

/** Announcements that are being written at a time. */
const MAX_WRITES = 16;
/** Pause between two warnings: with the store away every announcement of every host fails. */
const WARNING_INTERVAL_MS = 30_000;
/** Hosts that one search for gone ones looks at. */
const MAX_LOOKS = 1_000;
/** A host has gone when it has missed so many announcements. */
const MISSED_ANNOUNCEMENTS = 2;

/** A host and the time until its next announcement; 0 = unknown. */
export interface AnnouncedHost {
  readonly host: commonV2.Host;
  readonly intervalMs: number;
}

/**
 * Announced hosts in the shared store: for other schedulers, for the manager, and for this one after a restart.
 *
 * Writing is in the background and the last announcement of a host counts; while the store is away announcements are
 * not kept, and the next one of each host makes up for it.
 */
export class SharedHosts {
  readonly #waiting = new Map<string, () => Promise<void>>();
  #writing = 0;
  #warnedAtMs = -Infinity;
  #isClosed = false;

  /** @param keys of each kind: the original keeps the hosts once for each */
  constructor(
    private readonly records: RecordStore,
    private readonly keys: readonly DurableKeys[],
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** @param intervalMs time until the next announcement; 0 = unknown */
  announced(host: commonV2.Host, intervalMs: number): void {
    const fields = hostFields(host, intervalMs, this.clock.nowMs());
    this.#soon(host.id, async () => {
      for (const keys of this.keys) {
        await this.records.write(keys.host(host.id), fields);
        await this.records.addMember(keys.hosts, host.id);
      }
    });
  }

  removed(hostId: string): void {
    this.#soon(hostId, async () => {
      for (const keys of this.keys) {
        await this.records.delete(keys.host(hostId));
        await this.records.removeMember(keys.hosts, hostId);
      }
    });
  }

  /** @throws DfError `unavailable` */
  async find(hostId: string): Promise<commonV2.Host | undefined> {
    const record = await this.#read(hostId);
    return record && hostOfFields(record);
  }

  /**
   * A host as it last announced itself to any scheduler of the cluster.
   * @returns undefined when none has heard from it for two of its intervals
   * @throws DfError `unavailable`
   */
  async recall(hostId: string): Promise<AnnouncedHost | undefined> {
    const record = await this.#read(hostId);
    if (record === undefined || this.#isStale(record)) return undefined;
    const host = hostOfFields(record);
    return host && { host, intervalMs: intervalMsOf(record) };
  }

  /** Whether no scheduler has heard from it for two of its intervals. @throws DfError `unavailable` */
  async isGone(hostId: string): Promise<boolean> {
    const record = await this.#read(hostId);
    return record === undefined || this.#isStale(record);
  }

  /** Hosts of which no scheduler has heard for two of their intervals, some of them. @throws DfError `unavailable` */
  async gone(): Promise<string[]> {
    const [keys] = this.keys;
    if (keys === undefined) return [];
    const ids = await reached(this.records.members(keys.hosts, MAX_LOOKS));
    const records = await reached(this.records.readAll(ids.map((id) => keys.host(id))));
    return ids.filter((_id, index) => {
      const record = records[index];
      return record === undefined || this.#isStale(record);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
  }

  async #read(hostId: string): Promise<StoredRecord | undefined> {
    const [keys] = this.keys;
    return keys && (await reached(this.records.read(keys.host(hostId))));
  }

  #isStale(record: StoredRecord): boolean {
    const intervalMs = intervalMsOf(record);
    const updatedAtMs = Date.parse(textOf(record, 'updated_at'));
    return intervalMs > 0 && this.clock.nowMs() - updatedAtMs > intervalMs * MISSED_ANNOUNCEMENTS;
  }

  /** One entry a host: bounded by the hosts there are. */
  #soon(hostId: string, write: () => Promise<void>): void {
    if (this.#isClosed) return;
    this.#waiting.set(hostId, write);
    while (this.#writing < MAX_WRITES && this.#waiting.size > this.#writing) {
      this.#writing += 1;
      void this.#drain();
    }
  }

  async #drain(): Promise<void> {
    try {
      for (let next = this.#take(); next !== undefined; next = this.#take()) await next();
    } catch (error) {
      // What waits would fail the same way, each after its deadline.
      this.#waiting.clear();
      const nowMs = this.clock.nowMs();
      if (!this.#isClosed && nowMs - this.#warnedAtMs >= WARNING_INTERVAL_MS) {
        this.#warnedAtMs = nowMs;
        this.log.warn({ err: error }, 'announced hosts cannot be written to the store');
      }
    } finally {
      this.#writing -= 1;
    }
  }

  #take(): (() => Promise<void>) | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    this.#waiting.delete(first[0]);
    return first[1];
  }
}

function intervalMsOf(record: StoredRecord): number {
  return Number(textOf(record, 'announce_interval')) / 1e6;
}
