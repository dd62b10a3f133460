import { DfError } from '@dragonfly/errors';
import { extRecords, msToDuration } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { SchedulerClients } from '../jobs/dispatch/scheduler-clients.js';
import type { SchedulerTarget } from '../jobs/dispatch/scheduler-work.js';
import { SchedulerCandidates } from '../jobs/scheduler-candidates.js';
import { Logger } from '../logger.js';
import { Turns } from '../turns.js';
import { type BandwidthPoint, beginOf, FINEST_S, type Grouping, GROUPINGS, MeteringRows } from './metering-rows.js';

const LOCK_TTL_MS = 60_000;
const DEADLINE_MS = 30_000;
/** Of a scheduler that is seen for the first time; its own records may go back farther. */
const FIRST_PULL_S = 6 * 3_600;
/** Intervals that are asked for again: the newest grows, downloads of the one before may end late. */
const PULL_AGAIN = 2;
/** Largest groups of each interval. */
const GROUP_LIMIT = 1_000;
const MAX_NAME_LENGTH = 256;

const GROUPS: Record<Grouping, extRecords.SummaryGroup> = {
  cluster: extRecords.SummaryGroup.SUMMARY_GROUP_UNSPECIFIED,
  application: extRecords.SummaryGroup.SUMMARY_GROUP_APPLICATION,
  peer: extRecords.SummaryGroup.SUMMARY_GROUP_HOST,
};

/** Fetches from schedulers what was transferred, and keeps it in intervals that grow with age. */
@Injectable()
export class MeteringCollector {
  constructor(
    private readonly rows: MeteringRows,
    private readonly candidates: SchedulerCandidates,
    private readonly clients: SchedulerClients,
    private readonly turns: Turns,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** One manager at a time. A scheduler that keeps no records (one of the original) is left out. */
  async collect(signal?: AbortSignal): Promise<void> {
    await this.turns.run('manager:metering', { ttlMs: LOCK_TTL_MS }, async (lost) => {
      const stop = signal ? AbortSignal.any([signal, lost]) : lost;
      const targets = await this.targets();
      for (const target of targets) {
        try {
          await this.collectFrom(target, stop);
        } catch (error) {
          stop.throwIfAborted();
          const failure = DfError.from(error);
          if (failure.code !== 'unimplemented') {
            this.log.warn({ reason: failure.message, scheduler: target.hostname }, 'records could not be fetched');
          }
        }
      }
      await this.rows.forget(this.nowS());
    });
  }

  private async targets(): Promise<SchedulerTarget[]> {
    try {
      return await this.candidates.all(await this.candidates.clusters([]));
    } catch (error) {
      if (DfError.from(error).code === 'failed-precondition') {
        return [];
      }
      throw error;
    }
  }

  private async collectFrom(target: SchedulerTarget, signal: AbortSignal): Promise<void> {
    const nowS = this.nowS();
    for (const grouping of GROUPINGS) {
      const of = { schedulerId: target.id, clusterId: target.clusterId, grouping };
      const newest = await this.rows.newest(of);
      const sinceS = beginOf(
        newest === undefined ? nowS - FIRST_PULL_S : newest - (PULL_AGAIN - 1) * FINEST_S,
        FINEST_S,
      );
      const points = await this.summaries(target, grouping, sinceS, signal);
      await this.rows.replace(of, FINEST_S, sinceS, points);
      await this.rows.rollUp(of, nowS);
    }
  }

  private async summaries(
    target: SchedulerTarget,
    grouping: Grouping,
    sinceS: number,
    signal: AbortSignal,
  ): Promise<BandwidthPoint[]> {
    const client = this.clients.records(target);
    const { summaries } = await unary(
      client.summarizeDownloads.bind(client),
      {
        filter: { since: new Date(sinceS * 1_000) },
        interval: msToDuration(FINEST_S * 1_000),
        group: GROUPS[grouping],
        groupLimit: GROUP_LIMIT,
      },
      { deadlineMs: DEADLINE_MS, signal },
    );
    return summaries.flatMap((summary) => {
      const beginsAt = beginOf(Math.floor((summary.beginsAt?.getTime() ?? 0) / 1_000), FINEST_S);
      return beginsAt < sinceS
        ? []
        : [
            {
              beginsAt,
              name: summary.key.slice(0, MAX_NAME_LENGTH),
              downloads: Number(summary.downloads),
              failures: Number(summary.failures),
              bytesFromSource: Number(summary.bytesFromSource),
              bytesFromPeers: Number(summary.bytesFromPeers),
              bytesFromSeeds: Number(summary.bytesFromSeeds),
              bytesAcrossIdcs: Number(summary.bytesAcrossIdcs),
            },
          ];
    });
  }

  private nowS(): number {
    return Math.floor(this.clock.now().getTime() / 1_000);
  }
}
