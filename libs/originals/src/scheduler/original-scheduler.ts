import { DfError } from '@dragonfly/errors';
import { type commonV2, type Empty, schedulerV2 } from '@dragonfly/proto';
import { AddressGuard, ImageResolver } from '@dragonfly/registry';
import { GrpcServer, handleBidi, handleUnary, hostPort } from '@dragonfly/rpc';
import { type Logger, silentLogger } from '@dragonfly/telemetry';
import { Announcements } from './announce.js';
import { ORIGINAL_FIGURES, type OriginalFigures } from './figures.js';
import { ManagerLink } from './manager-link.js';
import { Preheats } from './preheat.js';
import { HostRow, Resources } from './resources.js';
import { Seeds } from './seeds.js';

export interface OriginalSchedulerOptions {
  /** Address to listen on, and to be told to others. @default 127.0.0.1 */
  readonly ip?: string;
  /** @default any */
  readonly port?: number;
  /** @default original-scheduler */
  readonly hostname?: string;
  /** `host:port`; without it nobody is told of this scheduler. */
  readonly managerAddress?: string;
  /** @default 1 */
  readonly clusterId?: number;
  /** Figures that differ from the original's, e.g. a shorter interval of probes. */
  readonly figures?: Partial<OriginalFigures>;
  /** @default silent */
  readonly log?: Logger;
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number;
}

/**
 * Stands in for the original's scheduler where that cannot be had: the methods of `scheduler.v2` with its answers, delays,
 * states and errors, and nothing else; every other service is UNIMPLEMENTED. Without Redis, as a small installation has it.
 */
export class OriginalScheduler {
  readonly resources = new Resources();
  /** Preheats in the order in which they came. */
  readonly preheats: (schedulerV2.PreheatFileRequest | schedulerV2.PreheatImageRequest)[] = [];
  private readonly figures: OriginalFigures;
  private readonly log: Logger;
  private readonly seeds: Seeds;
  private readonly preheating: Preheats;
  private server: GrpcServer | undefined;
  private link: ManagerLink | undefined;

  private constructor(private readonly options: OriginalSchedulerOptions) {
    this.figures = { ...ORIGINAL_FIGURES, ...options.figures };
    this.log = options.log ?? silentLogger();
    const { resources, figures } = this;
    this.seeds = new Seeds(resources, figures);
    const images = new ImageResolver({ guard: new AddressGuard({ allow: ['loopback', 'private'] }) });
    this.preheating = new Preheats({ resources, figures, images, seeds: this.seeds, advertiseIp: this.ip });
  }

  static async start(options: OriginalSchedulerOptions = {}): Promise<OriginalScheduler> {
    const scheduler = new OriginalScheduler(options);
    const { ip, figures } = scheduler;
    scheduler.server = await GrpcServer.start({
      addresses: [hostPort(ip, options.port ?? 0)],
      log: scheduler.log,
      services: [{ service: schedulerV2.SchedulerService, implementation: scheduler.methods() }],
    });
    if (options.managerAddress !== undefined) {
      scheduler.link = await ManagerLink.open({
        address: options.managerAddress,
        hostname: options.hostname ?? 'original-scheduler',
        ip,
        port: scheduler.port,
        clusterId: options.clusterId ?? 1,
        keepAliveIntervalMs: figures.keepAliveIntervalMs,
      });
    }
    return scheduler;
  }

  get ip(): string {
    return this.options.ip ?? '127.0.0.1';
  }

  get port(): number {
    return this.server?.ports[0] ?? 0;
  }

  /** Whether the seed was healthy when it was last looked at. */
  isUsable(seedHostId: string): boolean {
    return this.seeds.isHealthy(seedHostId);
  }

  async stop(): Promise<void> {
    this.link?.close();
    this.seeds.stop();
    this.preheating.stop();
    await this.server?.stop(0);
  }

  private methods() {
    const { resources, log, seeds, figures } = this;
    const random = this.options.random ?? Math.random;
    const announcements = new Announcements({ resources, seeds, figures, log, random });
    const withoutRedis = handleUnary<unknown, Empty>(async () => {
      throw new DfError('failed-precondition', 'redis is not enabled');
    }, log);
    return {
      announcePeer: handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((call) => {
        announcements.handle(call);
      }, log),
      announceHost: handleUnary<schedulerV2.AnnounceHostRequest, Empty>(async ({ host }) => {
        if (host !== undefined) this.announceHost(host);
        return {};
      }, log),
      listHosts: handleUnary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
        async ({ type }) => ({
          hosts: [...resources.hosts.values()]
            .map(({ host }) => host)
            .filter((host) => type === undefined || host.type === type),
        }),
        log,
      ),
      deleteHost: handleUnary<schedulerV2.DeleteHostRequest, Empty>(async ({ hostId }) => {
        const row = this.hostOf(hostId);
        for (const peer of [...resources.peers.values()]) if (peer.host === row) resources.removePeer(peer);
        resources.hosts.delete(hostId);
        return {};
      }, log),
      statPeer: handleUnary<schedulerV2.StatPeerRequest, commonV2.Peer>(async ({ peerId }) => {
        const peer = resources.peers.get(peerId);
        if (peer === undefined) throw new DfError('not-found', `peer ${peerId} not found`);
        return peer.message();
      }, log),
      deletePeer: handleUnary<schedulerV2.DeletePeerRequest, Empty>(async ({ peerId }) => {
        const peer = resources.peers.get(peerId);
        if (peer !== undefined) resources.removePeer(peer);
        return {};
      }, log),
      statTask: handleUnary<schedulerV2.StatTaskRequest, commonV2.Task>(async ({ taskId }) => {
        const task = resources.tasks.get(taskId);
        if (task === undefined) throw new DfError('not-found', `task ${taskId} not found`);
        return task.message();
      }, log),
      deleteTask: handleUnary<schedulerV2.DeleteTaskRequest, Empty>(async ({ hostId, taskId }) => {
        const row = this.hostOf(hostId);
        for (const peer of [...(resources.tasks.get(taskId)?.peers.values() ?? [])]) {
          if (peer.host === row) resources.removePeer(peer);
        }
        return {};
      }, log),
      preheatFile: handleUnary<schedulerV2.PreheatFileRequest, Empty>(async (request) => {
        this.preheats.push(request);
        await this.preheating.file(request);
        return {};
      }, log),
      preheatImage: handleUnary<schedulerV2.PreheatImageRequest, Empty>(async (request) => {
        this.preheats.push(request);
        await this.preheating.image(request);
        return {};
      }, log),
      statFile: handleUnary<schedulerV2.StatFileRequest, schedulerV2.StatFileResponse>(
        (request) => this.preheating.statFile(request),
        log,
      ),
      statImage: handleUnary<schedulerV2.StatImageRequest, schedulerV2.StatImageResponse>(
        (request) => this.preheating.statImage(request),
        log,
      ),
      statPersistentTask: withoutRedis,
      statPersistentCacheTask: withoutRedis,
      deletePersistentTask: withoutRedis,
      deletePersistentCacheTask: withoutRedis,
      uploadPersistentTaskStarted: withoutRedis,
      uploadPersistentCacheTaskStarted: withoutRedis,
    };
  }

  private hostOf(hostId: string): HostRow {
    const row = this.resources.hosts.get(hostId);
    if (row === undefined) throw new DfError('not-found', `host ${hostId} not found`);
    return row;
  }

  /** Address and name of a known host do not change. */
  private announceHost(host: commonV2.Host): void {
    const known = this.resources.hosts.get(host.id);
    if (known === undefined) {
      this.resources.hosts.set(host.id, new HostRow(host));
      return;
    }
    const { ip, hostname, name } = known.host;
    known.host = { ...host, ip, hostname, name };
    known.updatedAtMs = Date.now();
  }
}
