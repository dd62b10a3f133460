import type { HostId } from '@dragonfly/ids';
import type { AddressGuard } from '@dragonfly/registry';
import type { ClientTls } from '@dragonfly/rpc';
import type { Host } from '@dragonfly/scheduling';
import type { SchedulerConfig } from '../config/scheduler-config.js';
import { PreheatService } from '../preheat/preheat-service.js';
import { deletePeer, type SchedulerState } from '../scheduler-state.js';
import type { SeedDirectory } from '../seeds/seed-directory.js';
import { Slots } from './bounded.js';
import { GrpcDaemons } from './daemons.js';
import { JobMetrics } from './job-metrics.js';
import { JobRunner } from './job-runner.js';
import { Learning } from './learning.js';
import { SeedChoice } from './seed-choice.js';

/** Calls to daemons under way at a time, for all jobs together. */
const MAX_CALLS = 1_000;

export interface JobsOptions {
  readonly state: SchedulerState;
  readonly seeds: SeedDirectory;
  readonly config: SchedulerConfig;
  /** Address of this scheduler, told to daemons. */
  readonly remoteIp: string;
  readonly seedTls: ClientTls | undefined;
  readonly peerTls: ClientTls | undefined;
  /** Which registries may be asked. */
  readonly guard: AddressGuard;
}

/** Everything about jobs that the transports call. */
export interface Jobs {
  readonly runner: JobRunner;
  readonly preheat: PreheatService;
}

export function createJobs(options: JobsOptions): Jobs {
  const { state, seeds, config, seedTls, peerTls, remoteIp } = options;
  const { resources, log } = state;
  const daemons = new GrpcDaemons({
    remoteIp,
    seedTls,
    peerTls,
    stallTimeoutMs: config.scheduler.gc.pieceDownloadTimeout,
  });
  const choice = new SeedsOfDirectory(seeds);
  const hosts = (): Iterable<Host> => resources.hosts.values();
  const calls = new Slots(MAX_CALLS);
  const runner = new JobRunner({
    context: {
      daemons,
      seeds: choice,
      hosts,
      calls,
      learning: new Learning(config.job.learningTime),
      nowMs: () => state.clock.nowMs(),
      fullHost: (host) => state.hosts.full(host),
      peersOf: (host, taskId) => [...resources.peersOf(host)].filter((peer) => peer.task.id === taskId),
      forget: (peer) => {
        deletePeer(state, peer);
      },
    },
    maxRunning: config.job.schedulerWorkerNum,
    metrics: new JobMetrics(state.metrics.registry),
    log,
  });
  const preheat = new PreheatService({
    runner,
    daemons,
    seeds: choice,
    hosts,
    calls,
    guard: options.guard,
    metrics: state.metrics,
    log,
  });
  return { runner, preheat };
}

class SeedsOfDirectory extends SeedChoice {
  constructor(private readonly directory: SeedDirectory) {
    super();
  }

  override ownerOf(taskId: string, excluded: ReadonlySet<string>): Host | undefined {
    return this.directory.ownerOf(taskId, excluded)?.host;
  }

  override unreachable(hostId: HostId): void {
    this.directory.unreachable(hostId);
  }
}
