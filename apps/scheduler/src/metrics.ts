import { Counter, Gauge, Registry, Summary } from 'prom-client';

const PREFIX = 'dragonfly_scheduler_';
const QUANTILES = [0.5, 0.9, 0.95, 0.99];
/** Summaries describe the last ten minutes. */
const SUMMARY_MAX_AGE_SECONDS = 600;
const SUMMARY_AGE_BUCKETS = 5;

const PEER_LABELS = ['priority', 'task_type', 'host_type'] as const;
const PIECE_LABELS = ['traffic_type', 'task_type', 'host_type'] as const;

/** Only standard tasks are scheduled so far. */
const TASK_TYPE = 'STANDARD';

const TRAFFIC_TYPES = ['BACK_TO_SOURCE', 'REMOTE_PEER', 'LOCAL_PEER'] as const;
const HOST_TYPES = ['normal', 'super'] as const;
export type HostType = (typeof HOST_TYPES)[number];

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

/** The scheduler's metrics under the names that Dragonfly's dashboards read. Labels have a fixed set of values. */
export class SchedulerMetrics {
  readonly registry = new Registry();

  readonly announcePeer = this.#calls('announce_peer', 'AnnouncePeer streams');
  readonly statPeer = this.#calls('stat_peer', 'StatPeer calls');
  readonly leavePeer = this.#calls('leave_peer', 'DeletePeer calls');
  readonly statTask = this.#calls('stat_task', 'StatTask calls');
  readonly leaveTask = this.#calls('leave_task', 'DeleteTask calls');
  readonly announceHost = this.#calls('announce_host', 'AnnounceHost calls');
  readonly listHosts = this.#calls('list_hosts', 'ListHosts calls');
  readonly leaveHost = this.#calls('leave_host', 'DeleteHost calls');

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
  readonly #piecesFinished = new Float64Array(TRAFFIC_TYPES.length * HOST_TYPES.length);
  readonly #piecesFailed = new Float64Array(TRAFFIC_TYPES.length * HOST_TYPES.length);
  readonly #trafficBytes = new Float64Array(TRAFFIC_TYPES.length * HOST_TYPES.length);

  constructor(gauges: { readonly waitingPeers: () => number }, version: string) {
    this.#scraped('download_piece_finished_total', 'Pieces finished.', PIECE_LABELS, this.#piecesFinished);
    this.#scraped('download_piece_finished_failure_total', 'Pieces that failed.', PIECE_LABELS, this.#piecesFailed);
    this.#scraped('traffic', 'Bytes downloaded.', ['type', 'task_type', 'host_type'], this.#trafficBytes);
    new Gauge({
      name: `${PREFIX}concurrent_schedule_total`,
      help: 'Peers that wait for parents.',
      registers: [this.registry],
      collect() {
        this.set(gauges.waitingPeers());
      },
    });
    const [major = '0', minor = '0'] = version.split('.');
    new Gauge({
      name: `${PREFIX}version`,
      help: 'Version of the program.',
      labelNames: ['major', 'minor', 'git_version'],
      registers: [this.registry],
    }).set({ major, minor, git_version: `dfts-${version}` }, 1);
  }

  /** @param trafficType the wire number of common.v2.TrafficType */
  pieceFinished(trafficType: number, hostType: HostType, lengthBytes: number): void {
    const index = cellOf(trafficType, hostType);
    this.#piecesFinished[index] = (this.#piecesFinished[index] ?? 0) + 1;
    this.#trafficBytes[index] = (this.#trafficBytes[index] ?? 0) + lengthBytes;
  }

  pieceFailed(trafficType: number, hostType: HostType): void {
    const index = cellOf(trafficType, hostType);
    this.#piecesFailed[index] = (this.#piecesFailed[index] ?? 0) + 1;
  }

  #calls(name: string, what: string): CallCounters {
    return {
      total: this.#counter(`${name}_total`, `Number of ${what}.`),
      failure: this.#counter(`${name}_failure_total`, `Number of ${what} that failed.`),
    };
  }

  #peerCalls(name: string, what: string): PeerCounters {
    return {
      total: this.#peerCounter(`${name}_total`, `Number of ${what}.`),
      failure: this.#peerCounter(`${name}_failure_total`, `Number of ${what} that failed.`),
    };
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name: PREFIX + name, help, registers: [this.registry] });
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
        for (const [typeIndex, type] of TRAFFIC_TYPES.entries()) {
          for (const [hostIndex, hostType] of HOST_TYPES.entries()) {
            const value = cells[typeIndex * HOST_TYPES.length + hostIndex] ?? 0;
            if (value > 0) this.inc({ [typeLabel]: type, task_type: TASK_TYPE, host_type: hostType }, value);
          }
        }
      },
    });
  }
}

/** A call and its failures. */
export interface CallCounters {
  readonly total: Counter;
  readonly failure: Counter;
}

/** The same, by kind of peer. */
export interface PeerCounters {
  readonly total: Counter<(typeof PEER_LABELS)[number]>;
  readonly failure: Counter<(typeof PEER_LABELS)[number]>;
}

/** Labels of a peer. */
export function peerLabels(priority: number, isSeed: boolean): Record<(typeof PEER_LABELS)[number], string> {
  return { priority: `LEVEL${priority}`, task_type: TASK_TYPE, host_type: hostTypeOf(isSeed) };
}

export function hostTypeOf(isSeed: boolean): HostType {
  return isSeed ? 'super' : 'normal';
}

function cellOf(trafficType: number, hostType: HostType): number {
  const type = trafficType > 0 && trafficType < TRAFFIC_TYPES.length ? Math.floor(trafficType) : 0;
  return type * HOST_TYPES.length + (hostType === 'super' ? 1 : 0);
}
