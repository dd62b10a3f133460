import { KeyValueStore } from '@dragonfly/kv';
import { Database, SchedulerEntity, SeedPeerEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { LessThan } from 'typeorm';
import { Clock } from '../clock.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { ACTIVE, INACTIVE } from '../topology/topology.js';
import { Turns } from '../turns.js';
import { DEFAULT_SILENCE_MS, leaseKey, silenceLimitMs } from './keep-alive.js';

/** An inactive instance is forgotten after so long. Source: the original's GC. */
export const FORGET_AFTER_MS = 30 * 60_000;
/** Longest time that one sweep may hold its lock when its manager hangs. */
const SWEEP_LOCK_TTL_MS = 60_000;

export interface SweepResult {
  silenced: number;
  forgotten: number;
}

/**
 * Finds instances whose manager died with their keep-alive stream, and forgets those that have long been inactive.
 * With several managers one of them sweeps at a time.
 */
@Injectable()
export class InstanceSweeper {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly store: KeyValueStore,
    private readonly turns: Turns,
    private readonly clock: Clock,
  ) {}

  /** @returns what was changed, or 'busy' while another manager sweeps */
  async sweep(): Promise<SweepResult | 'busy'> {
    return this.turns.run('manager:instance-sweep', { ttlMs: SWEEP_LOCK_TTL_MS }, async () => {
      const silenced = (await this.silenceSchedulers()) + (await this.silenceSeedPeers());
      const forgotten = await this.forget();
      if (silenced + forgotten > 0) {
        await this.topology.invalidate();
      }
      return { silenced, forgotten };
    });
  }

  private async silenceSchedulers(): Promise<number> {
    const now = this.clock.now();
    const active = await this.database.manager.findBy(SchedulerEntity, { state: ACTIVE, isDel: 0 });
    let silenced = 0;
    for (const row of active) {
      const silentMs = now.getTime() - (row.lastKeepAliveAt?.getTime() ?? 0);
      if (silentMs > silenceLimitMs(row.config) && !(await this.isHeld('scheduler', row.id))) {
        await this.database.transaction((manager) =>
          updateRow(manager, SchedulerEntity, now, row.id, { state: INACTIVE }),
        );
        silenced += 1;
      }
    }
    return silenced;
  }

  private async silenceSeedPeers(): Promise<number> {
    const now = this.clock.now();
    const active = await this.database.manager.findBy(SeedPeerEntity, {
      state: ACTIVE,
      isDel: 0,
      updatedAt: LessThan(new Date(now.getTime() - DEFAULT_SILENCE_MS)),
    });
    let silenced = 0;
    for (const row of active) {
      if (!(await this.isHeld('seed-peer', row.id))) {
        await this.database.transaction((manager) =>
          updateRow(manager, SeedPeerEntity, now, row.id, { state: INACTIVE }),
        );
        silenced += 1;
      }
    }
    return silenced;
  }

  private async forget(): Promise<number> {
    const before = new Date(this.clock.now().getTime() - FORGET_AFTER_MS);
    const where = { state: INACTIVE, updatedAt: LessThan(before) };
    return this.database.transaction(async (manager) => {
      const schedulers = await manager.delete(SchedulerEntity, where);
      const seedPeers = await manager.delete(SeedPeerEntity, where);
      return (schedulers.affected ?? 0) + (seedPeers.affected ?? 0);
    });
  }

  private async isHeld(kind: 'scheduler' | 'seed-peer', id: number): Promise<boolean> {
    return (await this.store.get(leaseKey(kind, id))) !== undefined;
  }
}
