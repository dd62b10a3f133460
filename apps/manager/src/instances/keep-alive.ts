import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { KeyValueStore } from '@dragonfly/kv';
import { Database, SchedulerEntity, SeedPeerEntity, updateRow, type JsonObject } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import { Clock } from '../clock.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { ACTIVE, INACTIVE } from '../topology/topology.js';

export type InstanceKind = 'scheduler' | 'seed-peer';

export interface InstanceKey {
  readonly kind: InstanceKind;
  readonly hostname: string;
  /** Empty matches every ip. */
  readonly ip: string;
  readonly clusterId: number;
}

/** An instance is silent for good after so many of its own keep-alive intervals. Source: the original's GC. */
const INTERVALS_UNTIL_SILENT = 3;
/** Shortest silence that counts, in ms: a pause of a busy host is no failure. */
const MIN_SILENCE_MS = 15_000;
/** Silence that counts for an instance that did not tell its interval, in ms. */
export const DEFAULT_SILENCE_MS = 60_000;
const MAX_SILENCE_MS = 3_600_000;

/** How long an instance may be silent before it counts as gone, in ms. */
export function silenceLimitMs(config: JsonObject): number {
  const intervalNs = config['manager_keep_alive_interval'];
  if (typeof intervalNs !== 'number' || !(intervalNs > 0)) {
    return DEFAULT_SILENCE_MS;
  }
  const limitMs = (INTERVALS_UNTIL_SILENT * intervalNs) / 1e6;
  return Math.min(MAX_SILENCE_MS, Math.max(MIN_SILENCE_MS, limitMs));
}

/** Key of the note which stream speaks for an instance; it exists while some stream of some manager is alive. */
export function leaseKey(kind: InstanceKind, id: number): string {
  return `manager:keep-alive:${kind}:${id}`;
}

/** One keep-alive stream of an instance. */
export interface KeepAliveLease {
  /** The stream is to be ended after so many ms without a message. */
  readonly silenceLimitMs: number;
  /**
   * A further message came.
   * @throws DfError `internal` "record not found" when the instance was deleted meanwhile: it must register again
   */
  touch(): Promise<void>;
  /** The stream is over: the instance is inactive, unless a newer stream of it is alive at this or another manager. */
  close(): Promise<void>;
}

/** Keeps instances active while their keep-alive streams live. */
@Injectable()
export class KeepAliveService {
  private readonly stopped = new AbortController();

  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly store: KeyValueStore,
    private readonly clock: Clock,
  ) {}

  /**
   * The first message of a stream: the instance becomes active.
   * @throws DfError `internal` "record not found" when it has not registered
   */
  async open(key: InstanceKey): Promise<KeepAliveLease> {
    const row = await this.find(key);
    const limitMs = silenceLimitMs(row instanceof SchedulerEntity ? row.config : {});
    const token = randomUUID();
    const note = leaseKey(key.kind, row.id);
    const touch = async (): Promise<void> => {
      await this.markAlive(key.kind, row.id);
      await this.store.set(note, token, { ttlMs: limitMs });
    };
    await touch();
    return { silenceLimitMs: limitMs, touch, close: () => this.end(key.kind, row.id, note, token) };
  }

  /**
   * From now on streams that end leave the state alone: they end because this manager stops, and their instances go on
   * with another one, or with this one after its restart. Those that do not are found by the sweeper.
   */
  stop(): void {
    this.stopped.abort(new DfError('unavailable', 'the manager is stopping'));
  }

  /** Fires when the manager stops: streams end, so that their instances turn to another manager at once. */
  get stopping(): AbortSignal {
    return this.stopped.signal;
  }

  private async find({
    kind,
    hostname: hostName,
    ip,
    clusterId,
  }: InstanceKey): Promise<SchedulerEntity | SeedPeerEntity> {
    const where = { hostName, isDel: 0, ...(ip === '' ? {} : { ip }) };
    const { manager } = this.database;
    const row =
      kind === 'scheduler'
        ? await manager.findOneBy(SchedulerEntity, { ...where, schedulerClusterId: clusterId })
        : await manager.findOneBy(SeedPeerEntity, { ...where, seedPeerClusterId: clusterId });
    if (!row) {
      throw new DfError('internal', RECORD_NOT_FOUND);
    }
    return row;
  }

  private async markAlive(kind: InstanceKind, id: number): Promise<void> {
    const now = this.clock.now();
    const changed = await this.database.transaction(async (manager) => {
      const target = kind === 'scheduler' ? SchedulerEntity : SeedPeerEntity;
      const row = await manager.findOneBy<SchedulerEntity | SeedPeerEntity>(target, { id, isDel: 0 });
      if (!row) {
        throw new DfError('internal', RECORD_NOT_FOUND);
      }
      if (kind === 'scheduler') {
        await updateRow(manager, SchedulerEntity, now, id, { state: ACTIVE, lastKeepAliveAt: now });
      } else if (row.state !== ACTIVE) {
        await updateRow(manager, SeedPeerEntity, now, id, { state: ACTIVE });
      }
      return row.state !== ACTIVE;
    });
    if (changed) {
      await this.topology.invalidate();
    }
  }

  private async end(kind: InstanceKind, id: number, note: string, token: string): Promise<void> {
    if (this.stopping.aborted || !(await this.store.compareAndDelete(note, token))) {
      return;
    }
    const now = this.clock.now();
    await this.database.transaction((manager) =>
      kind === 'scheduler'
        ? updateRow(manager, SchedulerEntity, now, id, { state: INACTIVE })
        : updateRow(manager, SeedPeerEntity, now, id, { state: INACTIVE }),
    );
    await this.topology.invalidate();
  }
}
