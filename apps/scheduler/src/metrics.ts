import type { VolatileTaskKind } from '@dragonfly/scheduling';
import { Counter, Gauge, Registry, Summary } from 'prom-client';
import { AnnouncedHostMetrics } from './metrics/announced-host-metrics.js';
import { type CallCounters, callCounters, PREFIX } from './metrics/call-counters.js';
import { HostTrafficMetrics } from './metrics/host-traffic-metrics.js';
import { KindMetrics } from './metrics/kind-metrics.js';

const QUANTILES = [0.5, 0.9, 0.95, 0.99];
/** Summaries describe the last ten minutes. */
const SUMMARY_MAX_AGE_SECONDS = 600;
const SUMMARY_AGE_BUCKETS = 5;

const PEER_LABELS = ['priority', 'task_type', 'host_type'] as const;
const PIECE_LABELS = ['traffic_type', 'task_type', 'host_type'] as const;

const TASK_TYPES = { standard: 'STANDARD', cache: 'CACHE' } as const;
const KINDS = ['standard', 'cache'] as const;

const VERSION_LABELS = [
  'major',
  'minor',
  'git_version',
  'git_commit',
  'platform',
  'build_time',
  'go_version',
  'go_tags',
  'go_gcflags',
] as const;

const TRAFFIC_TYPES = ['BACK_TO_SOURCE', 'REMOTE_PEER', 'LOCAL_PEER'] as const;
const HOST_TYPES = ['normal', 'super'] as const;
export type HostType = (typeof HOST_TYPES)[number];
/** One count for every task type, traffic type and host type. */
const CELL_COUNT = KINDS.length * TRAFFIC_TYPES.length * HOST_TYPES.length;

/** Upper bounds in bytes of the content lengths that a `task_size_level` stands for, from level 1 on. */
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const SIZE_LEVEL_BOUNDS = [
  ...[1, 4, 8, 16, 32, 64, 128, 256, 512].map((size) => size * MIB),
  ...[1, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((size) => size * GIB),
];

/** The content length as a label value, "0" (unknown) to "20". */
export function taskSizeLevel(contentLengthBytes: number | undefined): string {
  if (contentLengthBytes === undefined || contentLengthBytes <= 0) return '0';
  const index = SIZE_LEVEL_BOUNDS.findIndex((bound) => contentLengthBytes < bound);
  return String(index < 0 ? SIZE_LEVEL_BOUNDS.length + 1 : index + 1);
}

export interface SchedulerMetricsOptions {
  /** Peers that wait for parents now. */
  readonly waitingPeers: () => number;
  readonly version: string;
  /** Count the traffic of each host: a few series for every one of up to `MAX_TRAFFIC_HOSTS`. @default false */
  readonly perHost?: boolean;
}

/**
 * The scheduler's metrics under the names that Dragonfly's dashboards read. Labels have a bounded set of values. A part
 * with metrics of its own registers them on {@link registry}.
 */
export class SchedulerMetrics {
  readonly registry = new Registry();

  readonly announcePeer = this.#calls('announce_peer', 'AnnouncePeer streams');
  readonly statPeer = this.#calls('stat_peer', 'StatPeer calls');
  readonly leavePeer = this.#calls('leave_peer', 'DeletePeer calls');
  readonly statTask = this.#calls('stat_task', 'StatTask calls');
  readonly leaveTask = this.#calls('leave_task', 'DeleteTask calls');
  readonly announceHost = new AnnouncedHostMetrics(this.registry);
  readonly listHosts = this.#calls('list_hosts', 'ListHosts calls');
  readonly leaveHost = this.#calls('leave_host', 'DeleteHost calls');
  /** Never counted, in the original neither: dashboards name it. */
  readonly exchangePeer = this.#calls('exchange_peer', 'ExchangePeer calls');
  readonly preheatImage = this.#calls('preheat_image', 'PreheatImage calls');
  readonly statImage = this.#calls('stat_image', 'StatImage calls');
  readonly preheatFile = this.#calls('preheat_file', 'PreheatFile calls');
  readonly statFile = this.#calls('stat_file', 'StatFile calls');

  /** Calls about persistent tasks. */
  readonly persistent = new KindMetrics(this.registry, 'persistent');
  /** Calls about persistent cache tasks. */
  readonly persistentCache = new KindMetrics(this.registry, 'persistent_cache');
  /** Undefined unless asked for. */
  readonly hostTraffic: HostTrafficMetrics | undefined;

  readonly registerPeer = this.#peerCalls('register_peer', 'registrations');
  readonly downloadPeerStarted = this.#peerCalls('download_peer_started', 'downloads from parents begun');
  readonly downloadPeerBackToSourceStarted = this.#peerCalls(
    'download_peer_back_to_source_started',
    'downloads from the source begun',
  );
  readonly downloadPeerFinished = this.#peerCalls('download_peer_finished', 'downloads finished');
  readonly downloadPeerBackToSourceFinishedFailure = this.#peerCounter(
    'download_peer_back_to_source_finished_failure_total',
    'Downloads from the source that failed.',
  );

  readonly downloadPeerDuration = new Summary({
    name: `${PREFIX}download_peer_duration_milliseconds`,
    help: 'Time from registration to success of a peer.',
    labelNames: ['task_size_level'],
    percentiles: QUANTILES,
    maxAgeSeconds: SUMMARY_MAX_AGE_SECONDS,
    ageBuckets: SUMMARY_AGE_BUCKETS,
    registers: [this.registry],
  });
  readonly scheduleDuration = new Summary({
    name: `${PREFIX}schedule_duration_milliseconds`,
    help: 'Time from the question for parents to the answer, waiting included.',
    percentiles: QUANTILES,
    maxAgeSeconds: SUMMARY_MAX_AGE_SECONDS,
    ageBuckets: SUMMARY_AGE_BUCKETS,
    registers: [this.registry],
  });

  /** Counts per piece are kept in plain arrays and turned into metrics when somebody asks for them. */
  readonly #piecesFinished = new Float64Array(CELL_COUNT);
  readonly #piecesFailed = new Float64Array(CELL_COUNT);
  readonly #sourcePiecesFailed = new Float64Array(CELL_COUNT);
  readonly #trafficBytes = new Float64Array(CELL_COUNT);

  constructor({ waitingPeers, version, perHost = false }: SchedulerMetricsOptions) {
    this.hostTraffic = perHost ? new HostTrafficMetrics(this.registry) : undefined;
    this.#scraped('download_piece_finished_total', 'Pieces finished.', PIECE_LABELS, this.#piecesFinished);
    this.#scraped('download_piece_finished_failure_total', 'Pieces that failed.', PIECE_LABELS, this.#piecesFailed);
    this.#scraped(
      'download_piece_back_to_source_finished_failure_total',
      'Pieces that the source did not give.',
      PIECE_LABELS,
      this.#sourcePiecesFailed,
    );
    this.#scraped('traffic', 'Bytes downloaded.', ['type', 'task_type', 'host_type'], this.#trafficBytes);
    new Gauge({
      name: `${PREFIX}concurrent_schedule_total`,
      help: 'Peers that wait for parents.',
      registers: [this.registry],
      collect() {
        this.set(waitingPeers());
      },
    });
    const [major = '0', minor = '0'] = version.split('.');
    new Gauge({
      name: `${PREFIX}version`,
      help: 'Version of the program.',
      labelNames: VERSION_LABELS,
      registers: [this.registry],
    }).set(
      {
        major,
        minor,
        git_version: `dfts-${version}`,
        git_commit: '',
        platform: `${process.platform}/${process.arch}`,
        build_time: '',
        // Which runtime it is, in the label that says so for a Go program.
        go_version: `node ${process.version}`,
        go_tags: '',
        go_gcflags: '',
      },
      1,
    );
  }

  /** @param trafficType the wire number of common.v2.TrafficType */
  pieceFinished(
    trafficType: number,
    hostType: HostType,
    lengthBytes: number,
    kind: VolatileTaskKind = 'standard',
  ): void {
    const index = cellOf(trafficType, hostType, kind);
    this.#piecesFinished[index] = (this.#piecesFinished[index] ?? 0) + 1;
    this.#trafficBytes[index] = (this.#trafficBytes[index] ?? 0) + lengthBytes;
  }

  /** The source did not give a piece. */
  sourcePieceFailed(hostType: HostType, kind: VolatileTaskKind = 'standard'): void {
    const index = cellOf(0, hostType, kind);
    this.#sourcePiecesFailed[index] = (this.#sourcePiecesFailed[index] ?? 0) + 1;
  }

  pieceFailed(trafficType: number, hostType: HostType, kind: VolatileTaskKind = 'standard'): void {
    const index = cellOf(trafficType, hostType, kind);
    this.#piecesFailed[index] = (this.#piecesFailed[index] ?? 0) + 1;
  }

  #calls(name: string, what: string): CallCounters {
    return callCounters(this.registry, name, `Number of ${what}`);
  }

  #peerCalls(name: string, what: string): PeerCounters {
    return {
      total: this.#peerCounter(`${name}_total`, `Number of ${what}.`),
      failure: this.#peerCounter(`${name}_failure_total`, `Number of ${what} that failed.`),
    };
  }

  #peerCounter(name: string, help: string): Counter<(typeof PEER_LABELS)[number]> {
    return new Counter({ name: PREFIX + name, help, labelNames: PEER_LABELS, registers: [this.registry] });
  }

  #scraped(name: string, help: string, labelNames: readonly [string, string, string], cells: Float64Array): void {
    const [typeLabel] = labelNames;
    new Counter({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const kind of KINDS) {
          for (const [traffic, type] of TRAFFIC_TYPES.entries()) {
            for (const hostType of HOST_TYPES) {
              const value = cells[cellOf(traffic, hostType, kind)] ?? 0;
              if (value > 0) this.inc({ [typeLabel]: type, task_type: TASK_TYPES[kind], host_type: hostType }, value);
            }
          }
        }
      },
    });
  }
}

/** Downloads and their failures, by kind of peer. */
export interface PeerCounters {
  readonly total: Counter<(typeof PEER_LABELS)[number]>;
  readonly failure: Counter<(typeof PEER_LABELS)[number]>;
}

/** Labels of a peer. */
export function peerLabels(
  priority: number,
  isSeed: boolean,
  kind: VolatileTaskKind = 'standard',
): Record<(typeof PEER_LABELS)[number], string> {
  return { priority: `LEVEL${priority}`, task_type: TASK_TYPES[kind], host_type: hostTypeOf(isSeed) };
}

export function hostTypeOf(isSeed: boolean): HostType {
  return isSeed ? 'super' : 'normal';
}

function cellOf(trafficType: number, hostType: HostType, kind: VolatileTaskKind): number {
  const type = trafficType > 0 && trafficType < TRAFFIC_TYPES.length ? Math.floor(trafficType) : 0;
  const place = KINDS.indexOf(kind) * TRAFFIC_TYPES.length + type;
  return place * HOST_TYPES.length + (hostType === 'super' ? 1 : 0);
}
