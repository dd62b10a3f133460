import { DfError } from '@dragonfly/errors';
import { Database, SchedulerClusterEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Clock } from '../clock.js';
import type { JobCaller } from '../jobs/job-caller.js';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { optionalText, queryInteger, requestType } from '../rest/rest-schema.js';
import {
  added,
  beginOf,
  type BandwidthPoint,
  type Grouping,
  GROUPINGS,
  MeteringRows,
  RESOLUTIONS,
  type Sums,
} from './metering-rows.js';

const DEFAULT_RANGE_S = 6 * 3_600;
const DEFAULT_SERIES = 20;
/** Points of one series at most: a finer resolution than the range allows is refused. */
const MAX_POINTS = 2_000;

export const GetBandwidthQuery = requestType(
  'GetBandwidthQuery',
  z.object({
    grouping: optionalText({ oneOf: GROUPINGS }),
    /** RFC 3339. */
    from: optionalText(),
    until: optionalText(),
    resolution: queryInteger({ min: RESOLUTIONS[0].seconds, max: 86_400 }),
    limit: queryInteger({ min: 1, max: 1_000 }),
    name: optionalText(),
  }),
);
export type GetBandwidthQuery = z.output<typeof GetBandwidthQuery.schema>;

const sums = {
  downloads: z.int(),
  failures: z.int(),
  bytes_from_source: z.int(),
  bytes_from_peers: z.int(),
  bytes_from_seeds: z.int(),
  bytes_across_idcs: z.int(),
};
const SumsBody = z.object(sums);
type SumsBody = z.output<typeof SumsBody>;

/** What was transferred over time: one series for each application or peer, or one for the cluster; largest first. */
export const BandwidthBody = bodyType(
  'Bandwidth',
  z.object({
    scheduler_cluster_id: z.int(),
    grouping: z.enum(GROUPINGS),
    resolution_seconds: z.int(),
    from: z.string(),
    until: z.string(),
    series: z.array(
      z.object({ name: z.string(), total: SumsBody, points: z.array(z.object({ at: z.string(), ...sums })) }),
    ),
  }),
);
export type BandwidthBody = z.output<typeof BandwidthBody>;

/** Answers what was transferred in a cluster. */
@Injectable()
export class MeteringService {
  constructor(
    private readonly rows: MeteringRows,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `not-found` (cluster), `invalid-argument` naming the parameter */
  async bandwidth(clusterId: number, query: GetBandwidthQuery, { scope }: JobCaller): Promise<BandwidthBody> {
    await rowById(this.database.manager, SchedulerClusterEntity, clusterId);
    const grouping = (query.grouping || 'cluster') as Grouping;
    if (!scope.hasCluster(clusterId) || (scope.applications && grouping !== 'application')) {
      // Who may see some applications only must not see what all of them, or a host, transferred.
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    const untilS = timeOf('until', query.until) ?? Math.ceil(this.clock.now().getTime() / 1_000);
    const fromS = timeOf('from', query.from) ?? untilS - DEFAULT_RANGE_S;
    const resolutionS = resolutionOf(untilS - fromS, query.resolution);
    const points = await this.rows.series({
      clusterId,
      grouping,
      resolutionS,
      fromS: beginOf(fromS, resolutionS),
      untilS,
    });
    const visible = points.filter(
      ({ name }) => (!query.name || name === query.name) && (!scope.applications || scope.applications.has(name)),
    );
    const series = [...Map.groupBy(visible, ({ name }) => name)].map(([name, own]) => ({
      name,
      total: sumsBody(totalOf(own)),
      points: own.map((point) => ({ at: timeText(point.beginsAt), ...sumsBody(point) })),
    }));
    series.sort((left, right) => bytesOf(right.total) - bytesOf(left.total) || left.name.localeCompare(right.name));
    return {
      scheduler_cluster_id: clusterId,
      grouping,
      resolution_seconds: resolutionS,
      from: timeText(fromS),
      until: timeText(untilS),
      series: series.slice(0, query.limit || DEFAULT_SERIES),
    };
  }
}

/** The finest resolution that is kept for so long and gives no more points than anybody plots. */
function resolutionOf(rangeS: number, wanted: number | undefined): number {
  if (rangeS <= 0) {
    throw new DfError('invalid-argument', 'from: must be before until');
  }
  const usable = RESOLUTIONS.filter(({ seconds, keptS }) => rangeS / seconds <= MAX_POINTS && rangeS <= keptS);
  const chosen = wanted
    ? usable.find(({ seconds }) => seconds === wanted)
    : usable.find(({ seconds }) => rangeS / seconds <= MAX_POINTS / 4);
  if (!chosen) {
    const names = usable.map(({ seconds }) => seconds).join(', ');
    throw new DfError('invalid-argument', `resolution: must be one of ${names || 'none'} for this range`);
  }
  return chosen.seconds;
}

function timeOf(name: string, text: string | undefined): number | undefined {
  if (!text) {
    return undefined;
  }
  const time = Date.parse(text);
  if (Number.isNaN(time)) {
    throw new DfError('invalid-argument', `${name}: must be a time such as 2026-01-31T08:00:00Z`);
  }
  return Math.floor(time / 1_000);
}

function timeText(timeS: number): string {
  return jsonTime(new Date(timeS * 1_000));
}

function totalOf(points: readonly BandwidthPoint[]): Sums {
  return points.reduce<BandwidthPoint | undefined>((sum, point) => added(point, sum), undefined) ?? NOTHING;
}

const NOTHING: Sums = {
  downloads: 0,
  failures: 0,
  bytesFromSource: 0,
  bytesFromPeers: 0,
  bytesFromSeeds: 0,
  bytesAcrossIdcs: 0,
};

function sumsBody(sums: Sums): SumsBody {
  return {
    downloads: sums.downloads,
    failures: sums.failures,
    bytes_from_source: sums.bytesFromSource,
    bytes_from_peers: sums.bytesFromPeers,
    bytes_from_seeds: sums.bytesFromSeeds,
    bytes_across_idcs: sums.bytesAcrossIdcs,
  };
}

function bytesOf(sums: SumsBody): number {
  return sums.bytes_from_source + sums.bytes_from_peers + sums.bytes_from_seeds;
}
