import { hostPort } from '@dragonfly/rpc';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DfError } from '@dragonfly/errors';
import { LightServer } from '@dragonfly/light';
import { GarbageCollector } from '@dragonfly/piece-store';
import { Readiness } from '@dragonfly/telemetry';
import { StoredTasksAnnouncer } from './announce/stored-tasks-announcer.js';
import { ClusterMembership } from './cluster-membership.js';
import type { DaemonConfig } from './config/schema.js';
import { DataPlane } from './data-plane.js';
import { DownloadService } from './download-service/download-service.js';
import type { AttemptServices } from './download/attempt-services.js';
import { DownloadManager } from './download/download-manager.js';
import { FinishedAnnouncer } from './download/finished-announcer.js';
import { InstrumentedRequests } from './download/instrumented-requests.js';
import { OutputWriter } from './download/output.js';
import { usesScheduler } from './download/scheduling-choice.js';
import { TaskRegistry } from './download/task-registry.js';
import { readinessConditions, type GrpcEndpoints, type PeerEngineOptions } from './engine-options.js';
import { EMPTY_BLOCK_LIST, type BlockList } from './dynconfig/block-list.js';
import { GcRunner } from './gc/gc-runner.js';
import { HostFigureReader } from './host/host-figures.js';
import { GIT_VERSION, hostMessage } from './host/host-message.js';
import { resolveIdentity, type HostIdentity } from './host/identity.js';
import { NetworkMonitor } from './host/network-monitor.js';
import { LINUX_FILES } from './host/system-files.js';
import { IdleWatch } from './idle-watch.js';
import { LightService } from './light-service/light-service.js';
import { PeerMetrics } from './metrics.js';
import { UploadCounters } from './pieces/upload-counters.js';
import { choosePort } from './ports.js';
import { effectiveProfile, type RoleProfile } from './role-profile.js';
import { SourceHold } from './source/source-hold.js';
import { StatusEndpoints } from './status-endpoints.js';
import { linkTls } from './link-tls.js';
import { Transfer } from './transfer.js';
import { UploadService } from './upload/upload-service.js';

/** All parts of a running daemon. */
export interface Assembly {
  readonly profile: RoleProfile;
  readonly identity: HostIdentity;
  readonly readiness: Readiness;
  readonly metrics: PeerMetrics;
  readonly upload: UploadService;
  readonly download: DownloadService;
  readonly grpc: GrpcEndpoints;
  readonly data: DataPlane;
  readonly membership: ClusterMembership;
  readonly status: StatusEndpoints;
  readonly gc: GcRunner;
  /** Port under which the upload service is announced; 0 until it serves. */
  readonly announced: { port: number };
  /** Ends downloads, leaves the cluster, closes all. */
  close(): Promise<void>;
}

/** @throws DfError when something cannot be had; everything opened by then is closed again */
export async function assemble(options: PeerEngineOptions): Promise<Assembly> {
  const closing: (() => Promise<void> | void)[] = [];
  try {
    return await build(options, closing);
  } catch (error) {
    for (const close of closing.reverse()) await close();
    throw error;
  }
}

async function build(options: PeerEngineOptions, closing: (() => Promise<void> | void)[]): Promise<Assembly> {
  const { config, log } = options;
  const profile = effectiveProfile(options.profile, config.seedPeer);
  const anyAddress = config.network.enableIPv6 ? '::' : '0.0.0.0';
  const identity = resolveIdentity({
    ip: config.host.ip,
    hostname: config.host.hostname,
    prefersIpv6: config.network.enableIPv6,
    isSeed: profile.isSeed,
  });
  const readiness = new Readiness(profile.name, readinessConditions(profile));
  const metrics = new PeerMetrics();
  metrics.version.set({ git_version: GIT_VERSION, git_commit: '', platform: process.platform, build_time: '' }, 1);
  const tls = await linkTls(config, identity, profile.name, log, options.signal ?? new AbortController().signal);
  closing.push(() => tls.keeper?.stop());
  const arePortsReplaceable = options.arePortsReplaceable ?? false;

  const status = await StatusEndpoints.start({
    health: { host: config.health.server.ip ?? anyAddress, port: config.health.server.port },
    metrics: { host: config.metrics.server.ip ?? anyAddress, port: config.metrics.server.port },
    arePortsReplaceable,
    readiness,
    registry: metrics.registry,
    log,
  });
  closing.push(() => status.close());

  const idle = new IdleWatch(config.aliveTime, options.onIdle ?? (() => {}));
  closing.push(() => {
    idle.stop();
  });
  const counters = new UploadCounters(() => idle.begin());
  const data = await DataPlane.open({
    config,
    counters,
    sourceProxy: options.sourceProxy,
    anyAddress,
    piecePort: await choosePort(
      config.storage.server.ip ?? anyAddress,
      config.storage.server.tcpPort,
      arePortsReplaceable,
    ),
    log,
  });
  closing.push(() => data.close());
  readiness.set('piece-server', true, `port ${data.pieceServer.port}`);

  const network = new NetworkMonitor({
    files: LINUX_FILES,
    ip: identity.ip,
    downloadBytesPerSecond: config.download.bandwidthLimit,
    uploadBytesPerSecond: config.upload.bandwidthLimit,
  });
  await network.start();
  closing.push(() => {
    network.stop();
  });

  const announced = { port: 0 };
  const figures = new HostFigureReader(LINUX_FILES, config.storage.dir);
  await figures.read();
  const platformVersion = await readPlatformVersion();
  const membership = new ClusterMembership({
    config,
    profile,
    identity,
    tls,
    readiness,
    log,
    onHostKnown: (link) => {
      storedTasks.onHostKnown(link);
    },
    hostNow: async () =>
      hostMessage(
        {
          profile,
          identity,
          uploadPort: announced.port,
          proxyPort: 0,
          idc: config.host.idc,
          location: config.host.location,
          schedulerClusterId: config.host.schedulerClusterID,
          isSharingDisabled: config.upload.disableShared,
          platformVersion,
          instanceName: options.instanceName,
        },
        await figures.read(),
        network.rates,
      ),
  });
  const transfer = new Transfer({
    config,
    data,
    hostId: identity.hostId,
    parentTls: tls.parent,
    metrics,
    log,
  });
  const attempts = attemptServices(config, identity, membership, transfer);
  const finished = new FinishedAnnouncer(attempts, log);
  const storedTasks = new StoredTasksAnnouncer({
    store: data.store,
    schedulersFor: (taskId) => membership.schedulers.forTask(taskId),
    newPeerId: () => identity.newPeerId(),
    announce: (task, link, peerId, signal) => finished.announceStored(task, link, peerId, signal),
  });
  const requests = new InstrumentedRequests(metrics, idle, log);
  const downloads = new DownloadManager(
    {
      attempts,
      prepare: async (request, signal) => {
        await membership.whenKnown();
        return transfer.prepare(request, signal);
      },
      usesScheduler: (request, wantedBytes) =>
        usesScheduler(request, wantedBytes, {
          hasScheduler: membership.schedulers.all.length > 0,
          hasSeedPeer: membership.seeds.hasSeedPeer,
          smallTaskP2P: config.download.smallTaskP2P,
        }),
      discard: (request) => transfer.discardChanged(request),
      log,
    },
    requests,
  );
  const blockList = (): BlockList => membership.view?.blockList ?? EMPTY_BLOCK_LIST;
  const tasks = new TaskRegistry({
    hostId: identity.hostId,
    store: data.store,
    downloads,
    schedulersFor: (taskId) => membership.schedulers.forTask(taskId),
    log,
  });
  const outputs = new OutputWriter(data.store);
  const upload = new UploadService({
    profile,
    identity,
    piecePort: () => data.pieceServer.port,
    store: data.store,
    downloads,
    tasks,
    finished,
    network,
    counters,
    log,
  });
  const download = new DownloadService({
    hostId: identity.hostId,
    store: data.store,
    downloads,
    outputs,
    tasks,
    counters,
    blockList,
    log,
    leave: () => membership.announcer.leave(),
  });
  const uploadHost = config.upload.server.ip ?? anyAddress;
  const collector = new GarbageCollector({
    store: data.store,
    policy: {
      taskTtlMs: config.gc.policy.taskTTL,
      persistentTaskTtlMs: config.gc.policy.persistentTaskTTL,
      persistentCacheTaskTtlMs: config.gc.policy.persistentCacheTaskTTL,
      diskThresholdBytes: config.gc.policy.diskThreshold,
      highPercent: config.gc.policy.diskHighThresholdPercent,
      lowPercent: config.gc.policy.diskLowThresholdPercent,
    },
    log,
    onEvicted: async (task) => {
      await tasks.leave(task.id, AbortSignal.timeout(GOODBYE_TIMEOUT_MS));
    },
  });
  await mkdir(dirname(config.download.lightSocketPath), { recursive: true });
  const light = await LightServer.start({
    path: config.download.lightSocketPath,
    mode: config.download.server.socketMode,
    maxConnections: MAX_LIGHT_CONNECTIONS,
    handler: new LightService({
      version: options.version,
      pid: process.pid,
      identity,
      downloads,
      outputs,
      blockList,
      log,
      mayChangeOwner: process.getuid?.() === 0,
    }),
    log,
  });
  closing.push(() => light.close());
  watchUse(metrics, counters, data);
  const gc = new GcRunner(collector, config.gc.interval, log);
  const grpc: GrpcEndpoints = {
    uploadAddress: hostPort(uploadHost, await choosePort(uploadHost, config.upload.server.port, arePortsReplaceable)),
    uploadTls: tls.upload,
    downloadAddress: `unix:${config.download.server.socketPath}`,
    downloadSocketMode: config.download.server.socketMode,
    requestsPerSecond: {
      upload: config.upload.server.requestRateLimit,
      download: config.download.server.requestRateLimit,
    },
  };
  log.info({ hostId: identity.hostId, piecePort: data.pieceServer.port, role: profile.name }, 'daemon started');
  return {
    profile,
    identity,
    readiness,
    metrics,
    upload,
    download,
    grpc,
    data,
    membership,
    status,
    gc,
    announced,
    async close() {
      idle.stop();
      await light.close();
      await gc.stop();
      await downloads.stop();
      await storedTasks.stop();
      await membership.leave();
      await tls.keeper?.stop();
      network.stop();
      transfer.close();
      await data.close();
      await status.close();
    },
  };
}

/**
 * dfgets served at once. One that is refused goes to the source by itself, which a crowd of them must not do; a
 * connection costs a descriptor and a few kilobytes.
 */
const MAX_LIGHT_CONNECTIONS = 4096;

/** How long an eviction waits to be told to the scheduler. */
const GOODBYE_TIMEOUT_MS = 5000;

function attemptServices(
  config: DaemonConfig,
  identity: HostIdentity,
  membership: ClusterMembership,
  transfer: Transfer,
): AttemptServices {
  return {
    hostId: identity.hostId,
    newPeerId: () => identity.newPeerId(),
    maxScheduleCount: config.scheduler.maxScheduleCount,
    scheduleTimeoutMs: config.scheduler.scheduleTimeout,
    concurrentPieceCount: config.download.concurrentPieceCount,
    schedulersFor: (taskId) => membership.schedulers.forTask(taskId),
    openConversation: (link, taskId, peerId) => membership.openConversation(link, taskId, peerId),
    announceHost: (link, signal) => membership.announcer.announceAgain(link, signal),
    reportDown: (link, reason) => {
      membership.schedulers.reportDown(link, reason);
    },
    fetchFromParents: (options, signal) => transfer.fetchFromParents(options, signal),
    fetchFromSource: (options, signal) => transfer.fetchFromSource(options, signal),
    hearNews: (peerId, target) => membership.pushes.register(peerId, target),
    holdSource: (link, request, signal) => SourceHold.ask(link, request, signal),
    lossPatienceMs: config.scheduler.lossPatience,
    lookForSchedulers: (signal) => membership.lookForSchedulers(signal),
    maySourceWithoutScheduler: config.download.sourceWithoutScheduler === 'allow',
    hasSchedulers: () => membership.schedulers.isConfigured,
    learnLength: (candidates, taskId, signal) => transfer.learnLength(candidates, taskId, signal),
  };
}

/** Gauges that are read when somebody looks. */
function watchUse(metrics: PeerMetrics, counters: UploadCounters, data: DataPlane): void {
  metrics.onCollect(async () => {
    metrics.concurrentUploadPieces.set(counters.uploadingPieces);
    metrics.setUploadTraffic(counters.uploadedBytes);
    const { totalBytes, freeBytes } = await data.store.usage();
    metrics.diskSpace.set(totalBytes);
    metrics.diskUsage.set(totalBytes - freeBytes);
  });
}

/** `VERSION_ID` of the distribution; undefined where there is none. */
async function readPlatformVersion(): Promise<string | undefined> {
  try {
    const text = await readFile('/etc/os-release', 'utf8');
    return /^VERSION_ID="?([^"\n]*)"?$/m.exec(text)?.[1];
  } catch (caught) {
    if (DfError.from(caught).code === 'not-found') return undefined;
    throw caught;
  }
}
