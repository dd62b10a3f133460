import { randomUUID } from 'node:crypto';
import type { AddressGuard } from '@dragonfly/registry';
import {
  type Clock,
  ParentScheduler,
  Resources,
  type SeedGateway,
  type Strategy,
  type VolatileTaskKind,
} from '@dragonfly/scheduling';
import { createMemoryKv, type Kv } from '@dragonfly/kv';
import type { ClientTls } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { type AnnounceCall, PeerSession } from './announce/peer-session.js';
import { type JobRunner, Turns } from './announce/turns.js';
import type { SchedulerConfig } from './config/scheduler-config.js';
import type { DynamicSettings } from './dynconfig/dynamic-config.js';
import { GarbageCollector } from './garbage-collector.js';
import { Holders } from './holders/holders.js';
import { HostService } from './hosts/host-service.js';
import { createJobs, type Jobs } from './jobs/create-jobs.js';
import { GrpcDaemons } from './jobs/daemons.js';
import { CountedAuthority, scrapedCounter } from './metrics/own-metrics.js';
import { SchedulerMetrics } from './metrics.js';
import { DownloadRecorder } from './records/download-recorder.js';
import { Records } from './records/records.js';
import { ParentPusher } from './push/parent-pusher.js';
import { Subscribers } from './push/subscribers.js';
import { DurableEngines } from './persistent/durable-engine.js';
import { deletePeer, type SchedulerState } from './scheduler-state.js';
import { type SeedCounts, SeedDirectory } from './seeds/seed-directory.js';
import type { SeedProbe } from './seeds/seed-probe.js';
import { GrpcSeedGateway } from './seeds/seed-trigger.js';
import type { SourceLeaseTable } from './source/lease-table.js';
import type { SourceControl } from './source/source-control.js';
import { registerSourceMetrics } from './source/source-metrics.js';
import { SourceService } from './source/source-service.js';
import { StatService } from './stat/stat-service.js';
import { StrategyDesk } from './strategies/strategy-desk.js';
import { StrategyMetrics } from './strategies/strategy-metrics.js';
import { AnnouncedHosts } from './wire/wire-records.js';

/** Without Redis: tasks and peers of persistent kinds that are remembered. */
const MAX_DURABLE_KEYS = 200_000;

export interface SchedulerCoreOptions {
  readonly config: SchedulerConfig;
  readonly settings: DynamicSettings;
  readonly probe: SeedProbe;
  readonly seedTls: ClientTls | undefined;
  readonly peerTls: ClientTls | undefined;
  /** Address of this scheduler, told to daemons. */
  readonly remoteIp: string;
  /** Which image registries may be asked. */
  readonly registryGuard: AddressGuard;
  /** Asks seeds in another way than over gRPC; for a scheduler that is run inside another program. */
  readonly seedGateway?: SeedGateway;
  /** Runs what streams bring. @default spreads bursts over turns of the event loop */
  readonly turns?: JobRunner;
  /** Where persistent tasks are kept; whoever made it closes it. @default the memory of this process */
  readonly durableKv?: Kv | undefined;
  /** Shared with the other schedulers of the cluster; undefined when this one is alone. */
  readonly sharedKv?: Kv | undefined;
  /** Tells this scheduler from the others. @default one that no other has */
  readonly name?: string;
  /** Where download records are kept; undefined = they are not. */
  readonly recordsDir?: string | undefined;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The module of `scheduler.plugin.path`, when it could be loaded. */
  readonly plugin?: Strategy | undefined;
  readonly log: Logger;
  readonly version: string;
  readonly source: SourceControl;
  /** Called when seeds come, go, begin or stop to serve. */
  readonly onSeeds: (counts: SeedCounts) => void;
}

/** The scheduler without its transports: everything that the gRPC controllers call. */
export class SchedulerCore {
  readonly state: SchedulerState;
  readonly hosts: HostService;
  readonly stat: StatService;
  readonly garbage: GarbageCollector;
  readonly source: SourceService;
  readonly jobs: Jobs;
  readonly records: Records | undefined;
  readonly subscribers: Subscribers;
  readonly #pusher: ParentPusher;
  readonly #leases: SourceLeaseTable;
  readonly #holders: Holders | undefined;
  readonly durable: DurableEngines;
  readonly #seeds: SeedDirectory;
  readonly #gateway: GrpcSeedGateway;
  readonly #sessions = new Set<PeerSession>();

  constructor(options: SchedulerCoreOptions) {
    const { config, settings, clock, log } = options;
    const resources = new Resources();
    const downloads: SchedulerState['downloads'] = new Map();
    this.#seeds = new SeedDirectory(options.probe, clock, log, options.onSeeds);
    this.#gateway = new GrpcSeedGateway({
      directory: this.#seeds,
      probe: options.probe,
      downloads,
      tls: options.seedTls,
      taskDownloadTimeoutMs: config.seedPeer.taskDownloadTimeout,
      log,
    });
    const metrics = new SchedulerMetrics({
      waitingPeers: () => scheduler.waitingCount,
      version: options.version,
      perHost: config.metrics.enableHost,
    });
    const strategies = new StrategyDesk({
      choice: config.scheduler,
      override: settings.strategyOverride,
      plugin: options.plugin,
      metrics: new StrategyMetrics(metrics.registry),
      clock,
      log,
    });
    const hosts = new AnnouncedHosts();
    this.subscribers = new Subscribers(resources, hosts);
    const { subscribers } = this;
    scrapedCounter(
      metrics.registry,
      'pushes_total',
      'News about parents told to daemons.',
      () => subscribers.toldCount,
    );
    const pusher = new ParentPusher({ scheduler: () => scheduler, subscribers: this.subscribers, hosts, clock });
    this.#pusher = pusher;
    this.#leases = options.source.leases;
    const leases = new CountedAuthority(options.source.leases, metrics.registry);
    this.#holders = this.#openHolders(options, resources, () => scheduler);
    const scheduler: ParentScheduler = new ParentScheduler({
      clock,
      random: options.random,
      seeds: options.seedGateway ?? this.#gateway,
      limits: settings.limits,
      strategyFor: strategies.strategyFor,
      onDecision: (peer, parents) => {
        strategies.decided(peer, parents);
        if (parents.length > 0) pusher.answered(peer);
      },
      onParentFound: (task) => {
        pusher.parentsFound(task);
        this.#holders?.changed(task);
      },
      onParentGone: (parent, children) => {
        pusher.parentGone(parent, children);
      },
      sourceLimits: {
        stallTimeoutMs: config.scheduler.sourceLease.stallTimeout,
        waitTimeoutMs: config.scheduler.waitTimeout,
        unusableHolderWaitMs: config.scheduler.retryBackToSourceLimit * config.scheduler.retryInterval,
        get backToSourceCount() {
          return Math.min(config.scheduler.backToSourceCount, options.source.readers());
        },
      },
      authority: this.#holders?.asking(leases) ?? leases,
    });
    this.records =
      options.recordsDir === undefined
        ? undefined
        : new Records(config.records, options.recordsDir, metrics.registry, log);
    this.state = {
      records: new DownloadRecorder(() => clock.nowMs(), this.records?.log),
      clock,
      resources,
      scheduler,
      hosts,
      recallHost: options.durableKv?.kind === 'redis' ? (hostId) => this.hosts.recall(hostId) : undefined,
      downloads,
      applications: settings.applications,
      metrics,
      turns: options.turns ?? new Turns(),
      strategies,
      guests: this.#holders?.guests,
      log,
    };
    this.durable = new DurableEngines({
      state: this.state,
      kv: options.durableKv ?? createMemoryKv({ now: () => clock.nowMs(), maxKeys: MAX_DURABLE_KEYS }),
      clusterId: config.manager.schedulerClusterID,
      limits: settings.limits,
      random: options.random,
      peerTls: options.peerTls,
      ip: options.remoteIp,
    });
    this.hosts = new HostService(this.state, this.#seeds, this.durable);
    this.stat = new StatService(this.state);
    registerSourceMetrics(metrics.registry, {
      leases: () => options.source.leases.count,
      guests: () => this.#holders?.guests.takenInCount ?? 0,
      subscribers: () => this.subscribers.count,
    });
    this.source = new SourceService({ leases: options.source.leases, resources, scheduler, clock, log });
    this.jobs = createJobs({
      state: this.state,
      seeds: this.#seeds,
      config,
      remoteIp: options.remoteIp,
      seedTls: options.seedTls,
      peerTls: options.peerTls,
      guard: options.registryGuard,
    });
    this.garbage = new GarbageCollector(this.state, this.hosts, this.durable, config.scheduler.gc);
  }

  /** Serves an announce stream of a task kind that lives in this scheduler's memory. */
  announcePeer(call: AnnounceCall, kind: VolatileTaskKind = 'standard'): PeerSession {
    const session = PeerSession.serve(call, this.state, kind, () => {
      this.#sessions.delete(session);
    });
    if (!session.isOver) this.#sessions.add(session);
    return session;
  }

  /** What the schedulers of a cluster tell each other; nothing for one that is alone. */
  #openHolders(
    options: SchedulerCoreOptions,
    resources: Resources,
    scheduler: () => ParentScheduler,
  ): Holders | undefined {
    const { sharedKv, config, clock, log, remoteIp, seedTls, peerTls } = options;
    if (sharedKv === undefined) return undefined;
    const stallTimeoutMs = config.scheduler.gc.pieceDownloadTimeout;
    return new Holders({
      records: sharedKv.records,
      clusterId: config.manager.schedulerClusterID,
      name: options.name ?? randomUUID(),
      resources,
      scheduler,
      daemons: new GrpcDaemons({ remoteIp, seedTls, peerTls, stallTimeoutMs }),
      remove: (peer) => {
        deletePeer(this.state, peer);
      },
      clock,
      log,
    });
  }

  /** Ends every stream and everything that runs in the background. */
  stop(): void {
    this.garbage.stop();
    this.jobs.runner.close();
    this.#leases.keepAll();
    // First: the end of one stream would otherwise answer peers that wait for it.
    this.state.scheduler.close();
    for (const session of [...this.#sessions]) session.shutDown();
    this.#holders?.close();
    this.source.close();
    this.#pusher.close();
    this.subscribers.close();
    this.durable.close();
    this.#gateway.close();
    this.#seeds.close();
  }
}
