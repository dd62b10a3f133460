import { BandwidthEntity, Database, databaseError } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** What sums are about. */
export type Grouping = 'cluster' | 'application' | 'peer';
export const GROUPINGS = ['cluster', 'application', 'peer'] as const satisfies readonly Grouping[];

/** Lengths of intervals in seconds, each made of the one before, and how long they are kept. */
export const RESOLUTIONS = [
  { seconds: 300, keptS: 2 * 86_400 },
  { seconds: 3_600, keptS: 35 * 86_400 },
  { seconds: 86_400, keptS: 400 * 86_400 },
] as const;
export const FINEST_S = RESOLUTIONS[0].seconds;

const SUMS = [
  'downloads',
  'failures',
  'bytesFromSource',
  'bytesFromPeers',
  'bytesFromSeeds',
  'bytesAcrossIdcs',
] as const satisfies readonly (keyof BandwidthEntity)[];

export type Sums = Pick<BandwidthEntity, (typeof SUMS)[number]>;

/** Sums of one interval of one group, from the schedulers of a cluster together. */
export type BandwidthPoint = Sums & { readonly name: string; readonly beginsAt: number };

/** Where sums come from, and about what they are. */
export interface SumsOf {
  readonly schedulerId: number;
  readonly clusterId: number;
  readonly grouping: Grouping;
}

const INSERT_BATCH = 200;
/** Intervals of the coarser kind that are summed up again: the newest grows, the one before may get late records. */
const ROLL_UP_AGAIN = 2;

/** Begin of the interval that the time belongs to. */
export function beginOf(timeS: number, intervalS: number): number {
  return timeS - (timeS % intervalS);
}

export function added<T extends Sums & { name: string; beginsAt: number }>(
  point: T,
  other: Sums | undefined,
): BandwidthPoint {
  return {
    name: point.name,
    beginsAt: point.beginsAt,
    downloads: point.downloads + (other?.downloads ?? 0),
    failures: point.failures + (other?.failures ?? 0),
    bytesFromSource: point.bytesFromSource + (other?.bytesFromSource ?? 0),
    bytesFromPeers: point.bytesFromPeers + (other?.bytesFromPeers ?? 0),
    bytesFromSeeds: point.bytesFromSeeds + (other?.bytesFromSeeds ?? 0),
    bytesAcrossIdcs: point.bytesAcrossIdcs + (other?.bytesAcrossIdcs ?? 0),
  };
}

/** The table of transferred bytes. */
@Injectable()
export class MeteringRows {
  constructor(private readonly database: Database) {}

  /** Begin of the newest interval that is known of a scheduler, undefined when there is none. */
  async newest({ schedulerId, grouping }: SumsOf): Promise<number | undefined> {
    const row = await this.database.transaction((manager) =>
      manager.findOne(BandwidthEntity, {
        where: { schedulerId, grouping, resolutionS: FINEST_S },
        order: { beginsAt: 'DESC' },
      }),
    );
    return row?.beginsAt;
  }

  /** Replaces what is known of the intervals from `sinceS` on. */
  async replace(of: SumsOf, resolutionS: number, sinceS: number, points: readonly BandwidthPoint[]): Promise<void> {
    const { schedulerId, clusterId: schedulerClusterId, grouping } = of;
    // MySQL compares names without regard to case; two that differ in nothing else are one here, and `insert` adds up
    // those that its collation takes for one besides (accents, spaces at the end).
    const unique = new Map<string, BandwidthPoint>();
    for (const point of points) {
      const key = `${point.beginsAt} ${point.name.toLowerCase()}`;
      unique.set(key, added(point, unique.get(key)));
    }
    const rows = [...unique.values()].map((point) => ({
      ...point,
      resolutionS,
      schedulerId,
      schedulerClusterId,
      grouping,
    }));
    await this.database.transaction(async (manager) => {
      await manager
        .createQueryBuilder()
        .delete()
        .from(BandwidthEntity)
        .where('resolution_s = :resolutionS AND scheduler_id = :schedulerId AND grouping_kind = :grouping', {
          resolutionS,
          schedulerId,
          grouping,
        })
        .andWhere('begins_at >= :sinceS', { sinceS })
        .execute();
      for (let from = 0; from < rows.length; from += INSERT_BATCH) {
        await insert(manager, rows.slice(from, from + INSERT_BATCH));
      }
    });
  }

  /** Makes the coarser intervals of a scheduler from the finer ones. */
  async rollUp(of: SumsOf, nowS: number): Promise<void> {
    for (const [index, { seconds }] of RESOLUTIONS.entries()) {
      const finer = RESOLUTIONS[index - 1];
      if (finer) {
        const sinceS = beginOf(nowS, seconds) - (ROLL_UP_AGAIN - 1) * seconds;
        const points = await this.sums(of, finer.seconds, sinceS);
        const coarse = points.map((point) => ({ ...point, beginsAt: beginOf(point.beginsAt, seconds) }));
        await this.replace(of, seconds, sinceS, coarse);
      }
    }
  }

  /** Forgets intervals that are older than their resolution is kept. */
  async forget(nowS: number): Promise<void> {
    for (const { seconds, keptS } of RESOLUTIONS) {
      await this.database.transaction((manager) =>
        manager
          .createQueryBuilder()
          .delete()
          .from(BandwidthEntity)
          .where('resolution_s = :seconds AND begins_at < :before', { seconds, before: nowS - keptS })
          .execute(),
      );
    }
  }

  /** Points of a cluster, those of its schedulers added up. */
  async series(query: {
    clusterId: number;
    grouping: Grouping;
    resolutionS: number;
    fromS: number;
    untilS: number;
  }): Promise<BandwidthPoint[]> {
    const rows = await this.database.transaction((manager) =>
      manager
        .createQueryBuilder(BandwidthEntity, 'row')
        .where('row.schedulerClusterId = :clusterId AND row.grouping = :grouping', query)
        .andWhere('row.resolutionS = :resolutionS', query)
        .andWhere('row.beginsAt >= :fromS AND row.beginsAt < :untilS', query)
        .orderBy('row.beginsAt', 'ASC')
        .getMany(),
    );
    const points = new Map<string, BandwidthPoint>();
    for (const row of rows) {
      const key = `${row.beginsAt} ${row.name}`;
      points.set(key, added(row, points.get(key)));
    }
    return [...points.values()];
  }

  private async sums(
    { schedulerId, grouping }: SumsOf,
    resolutionS: number,
    sinceS: number,
  ): Promise<BandwidthEntity[]> {
    return this.database.transaction((manager) =>
      manager
        .createQueryBuilder(BandwidthEntity, 'row')
        .where('row.schedulerId = :schedulerId AND row.grouping = :grouping', { schedulerId, grouping })
        .andWhere('row.resolutionS = :resolutionS AND row.beginsAt >= :sinceS', { resolutionS, sinceS })
        .getMany(),
    );
  }
}

/** Inserts rows; where the database holds two names for the same, the second is added to the first. */
async function insert(manager: EntityManager, rows: readonly BandwidthEntity[]): Promise<void> {
  try {
    await manager.insert(BandwidthEntity, [...rows]);
  } catch (error) {
    if (databaseError(error).code !== 'already-exists') {
      throw error;
    }
    const [row] = rows;
    if (rows.length === 1 && row) {
      const { resolutionS, beginsAt, schedulerId, grouping, name } = row;
      for (const sum of SUMS) {
        await manager.increment(BandwidthEntity, { resolutionS, beginsAt, schedulerId, grouping, name }, sum, row[sum]);
      }
      return;
    }
    // A statement that fails leaves nothing of itself behind.
    const middle = Math.ceil(rows.length / 2);
    await insert(manager, rows.slice(0, middle));
    await insert(manager, rows.slice(middle));
  }
}
