import 'reflect-metadata';
import path from 'node:path';
import { type DynamicModule, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { extJobs, extPush, extRecords, extSource, fastSchedulerService } from '@dragonfly/proto';
import { AddressGuard } from '@dragonfly/registry';
import { directStream, hostPort } from '@dragonfly/rpc';
import { callMetrics } from '@dragonfly/rpc/metrics';
import { GrpcExceptionFilter, type NestGrpcOptions, nestGrpcOptions } from '@dragonfly/rpc/nest';
import { type Clock, systemClock } from '@dragonfly/scheduling';
import { type Logger, Readiness, StatusServer } from '@dragonfly/telemetry';
import { dataDirOf, identityOf, listenIpOf, type SchedulerConfig, statusAddressOf } from './config/scheduler-config.js';
import { DynamicSettings } from './dynconfig/dynamic-config.js';
import { LocalDynconfig } from './dynconfig/local-dynconfig.js';
import { ManagerGateway } from './dynconfig/manager-gateway.js';
import { ManagerLink } from './dynconfig/manager-link.js';
import { CacheController } from './grpc/cache.controller.js';
import { PersistentCacheController } from './grpc/persistent-cache.controller.js';
import { PersistentController } from './grpc/persistent.controller.js';
import { SchedulerController } from './grpc/scheduler.controller.js';
import { PushController } from './grpc/push.controller.js';
import { SourceController } from './grpc/source.controller.js';
import { openKv, PERSISTENT_TASKS_DB } from './kv.js';
import { type LinkTls, linkTls } from './link-tls.js';
import { SchedulerCore } from './scheduler-core.js';
import { GrpcSeedProbe, type SeedProbe } from './seeds/seed-probe.js';
import { SourceControl } from './source/source-control.js';
import { collectDefaultMetrics } from 'prom-client';
import { JobsController } from './jobs/jobs.controller.js';
import { MachineryWorker } from './machinery/machinery-worker.js';
import { jobRedis } from './machinery/redis-connections.js';
import { RecordsController } from './records/records.controller.js';
import { PreheatController } from './preheat/preheat.controller.js';
import { loadPlugin } from './strategies/plugin-loader.js';

/** How long running unary calls may go on when the server stops; streams have been ended by then. */
const STOP_GRACE_MS = 2000;

export interface SchedulerAppOptions {
  readonly config: SchedulerConfig;
  readonly log: Logger;
  readonly version: string;
  /** Whether the process may write below /var. */
  readonly isRoot: boolean;
  /** Local dynamic configuration, without a manager. @default dynconfig.yaml in the data directory */
  readonly dynconfigFile?: string | undefined;
  /** Ends a start that waits for the manager. */
  readonly signal?: AbortSignal;
  /** For tests. @default the real clock */
  readonly clock?: Clock;
  /** For tests. @default grpc.health.v1 over the network */
  readonly probe?: SeedProbe;
}

/** A running scheduler. */
export class SchedulerApp {
  private constructor(
    readonly core: SchedulerCore,
    readonly readiness: Readiness,
    readonly port: number,
    readonly statusPort: number,
    private readonly stopAll: () => Promise<void>,
  ) {}

  /** @throws DfError when an address cannot be had or a certificate cannot be read */
  static async start(options: SchedulerAppOptions): Promise<SchedulerApp> {
    const { config, log } = options;
    const hasManager = config.manager.addr !== '';
    const readiness = new Readiness('scheduler', [
      'grpc-serving',
      ...(hasManager ? ['manager-registered'] : []),
      'seed-peers-usable',
    ]);
    readiness.set('seed-peers-usable', true);
    const clock = options.clock ?? systemClock;
    const settings = new DynamicSettings(log);
    const tls = await linkTls(config, options.isRoot, log, options.signal ?? new AbortController().signal);
    const kv = openKv(config, log);
    const durableKv = openKv(config, log, PERSISTENT_TASKS_DB);
    const source = await SourceControl.open({
      config,
      override: settings.sourceOverride,
      store: kv?.store,
      dataDir: dataDirOf(config, options.isRoot),
      clock,
      log,
    });
    const core = new SchedulerCore({
      config,
      source,
      settings,
      probe: options.probe ?? new GrpcSeedProbe(tls.seedPeer),
      seedTls: tls.seedPeer,
      peerTls: tls.peer,
      remoteIp: identityOf(config, config.server.port).ip,
      registryGuard: new AddressGuard(config.job.registry),
      durableKv,
      sharedKv: kv,
      ...nameOf(config),
      recordsDir: config.records.enable ? path.join(dataDirOf(config, options.isRoot), 'records') : undefined,
      clock,
      random: Math.random,
      plugin: await loadPlugin(config, log),
      log,
      version: options.version,
      onSeeds: ({ known, usable, awaited }) => {
        // A seed that is gone for longer is no reason to call the scheduler unready: it works without.
        const detail = usable === known ? undefined : `${usable} of ${known} seed peers serve`;
        readiness.set('seed-peers-usable', awaited === 0, detail);
      },
    });
    const undo: (() => void | Promise<void>)[] = [
      () => tls.keeper?.stop(),
      () => kv?.close(),
      () => durableKv?.close(),
      () => source.close(),
      () => core.records?.log.close(),
    ];
    const stopAll = async (): Promise<void> => {
      for (const step of undo.splice(0).reverse()) await step();
    };
    try {
      if (config.metrics.enable) collectDefaultMetrics({ register: core.state.metrics.registry });
      const statusAddress = statusAddressOf(config);
      const status = await StatusServer.start({
        ...statusAddress,
        readiness,
        log,
        ...(config.metrics.enable ? { registry: core.state.metrics.registry } : {}),
      });
      undo.push(() => status.close());

      const grpc = nestGrpcOptions({
        services: [
          { definition: fastSchedulerService, name: 'scheduler.v2.Scheduler' },
          { definition: extRecords.RecordServiceService, name: 'dragonfly.ext.v1.RecordService' },
          { definition: extJobs.JobServiceService, name: 'dragonfly.ext.v1.JobService' },
          { definition: extSource.SourceServiceService, name: 'dragonfly.ext.v1.SourceService' },
          { definition: extPush.PushServiceService, name: 'dragonfly.ext.v1.PushService' },
        ],
        directStreams: [
          directStream(fastSchedulerService.announcePeer, (stream) => {
            core.announcePeer(stream);
          }),
        ],
        url: hostPort(listenIpOf(config), config.server.port),
        log,
        requestRateLimit: config.server.requestRateLimit,
        ...(config.metrics.enable ? { counts: callMetrics(core.state.metrics.registry) } : {}),
        graceMs: STOP_GRACE_MS,
        ...(tls.server === undefined ? {} : { tls: tls.server }),
      });
      const nest = await startNest(core, grpc, log);
      undo.push(async () => {
        grpc.strategy.setServing(false);
        core.stop();
        await core.durable.settled();
        await nest.close();
      });
      const [port = 0] = grpc.strategy.ports;
      core.garbage.start();
      readiness.set('grpc-serving', true);

      const stopMachinery = startMachinery(core, config, port, log);
      undo.push(stopMachinery);
      const stopDynconfig = await startDynconfig(options, settings, readiness, clock, port, tls);
      undo.push(stopDynconfig);
      log.info({ port, statusPort: status.port }, 'scheduler is serving');
      return new SchedulerApp(core, readiness, port, status.port, stopAll);
    } catch (error) {
      await stopAll();
      core.stop();
      throw error;
    }
  }

  /** Leaves the manager, reports NOT_SERVING, ends all streams, closes all ports. */
  async stop(): Promise<void> {
    this.readiness.set('grpc-serving', false, 'stopping');
    await this.stopAll();
  }
}

/** Under which name the other schedulers hear of this one: the same after a restart, where its port is. */
function nameOf(config: SchedulerConfig): { readonly name?: string } {
  const { hostname, ip, port } = identityOf(config, config.server.port);
  return port === 0 ? {} : { name: `${hostname}@${hostPort(ip, port)}` };
}

/**
 * Jobs of the original manager, which come through Redis.
 * @returns how to stop it
 */
function startMachinery(core: SchedulerCore, config: SchedulerConfig, port: number, log: Logger): () => Promise<void> {
  const connect = config.job.enable ? jobRedis(config) : undefined;
  if (connect === undefined) return async () => undefined;
  const { globalWorkerNum, schedulerWorkerNum, localWorkerNum } = config.job;
  const { hostname, ip } = identityOf(config, port);
  const worker = new MachineryWorker({
    schedulerClusterId: config.manager.schedulerClusterID,
    hostname,
    ip,
    maxRunning: { local: localWorkerNum, schedulers: schedulerWorkerNum, global: globalWorkerNum },
    runner: core.jobs.runner,
    connect,
    log,
  });
  return () => worker.stop();
}

/** @returns how to stop it */
async function startDynconfig(
  options: SchedulerAppOptions,
  settings: DynamicSettings,
  readiness: Readiness,
  clock: Clock,
  port: number,
  tls: LinkTls,
): Promise<() => void | Promise<void>> {
  const { config, log } = options;
  const identity = identityOf(config, port);
  const dataDir = dataDirOf(config, options.isRoot);
  const refreshIntervalMs = config.dynConfig.refreshInterval;
  if (config.manager.addr === '') {
    const file = options.dynconfigFile ?? path.join(dataDir, 'dynconfig.yaml');
    const local = new LocalDynconfig(file, refreshIntervalMs, settings, clock, log);
    await local.start();
    return () => {
      local.stop();
    };
  }
  readiness.set('manager-registered', false, 'not registered yet');
  const keepAliveIntervalMs = config.manager.keepAlive.interval;
  const link = new ManagerLink({
    gateway: new ManagerGateway({
      address: config.manager.addr,
      tls: tls.manager,
      identity,
      schedulerClusterId: config.manager.schedulerClusterID,
      idc: config.host.idc,
      location: config.host.location,
      keepAliveIntervalMs,
      features: config.job.enable ? ['schedule', 'preheat'] : ['schedule'],
    }),
    settings,
    cacheFile: path.join(dataDir, `dynconfig-${identity.hostname}-${identity.port}.yaml`),
    refreshIntervalMs,
    keepAliveIntervalMs,
    onCertificateNews: () => void tls.keeper?.refresh(),
    clock,
    random: Math.random,
    log,
    onState: (isRegistered, detail) => {
      readiness.set('manager-registered', isRegistered, detail);
    },
  });
  await link.start();
  return () => link.stop();
}

async function startNest(core: SchedulerCore, grpc: NestGrpcOptions, log: Logger): Promise<INestMicroservice> {
  // `abortOnError: false`: a failure is for our caller to report, Nest would end the process.
  const nest = await NestFactory.createMicroservice(SchedulerModule.forCore(core), {
    ...grpc,
    logger: false,
    abortOnError: false,
  });
  nest.useGlobalFilters(new GrpcExceptionFilter(log));
  await nest.listen();
  return nest;
}

@Module({})
class SchedulerModule {
  static forCore(core: SchedulerCore): DynamicModule {
    return {
      module: SchedulerModule,
      controllers: [
        SchedulerController,
        JobsController,
        PreheatController,
        SourceController,
        PushController,
        RecordsController,
        PersistentController,
        PersistentCacheController,
        CacheController,
      ],
      providers: [{ provide: SchedulerCore, useValue: core }],
    };
  }
}
