import { access } from 'node:fs/promises';
import { NewsFeed } from '@dragonfly/manager-client';
import { extNotify, managerV2, schedulerV2, type commonV2 } from '@dragonfly/proto';
import { createGrpcClient, hostPort } from '@dragonfly/rpc';
import type { Logger, Readiness } from '@dragonfly/telemetry';
import { HostAnnouncer } from './announce/host-announcer.js';
import { sleep, unlessAborted, within } from './backoff.js';
import type { DaemonConfig } from './config/schema.js';
import { splitAddress } from './config/sections.js';
import type { ClusterView, DynconfigSource } from './dynconfig/cluster-view.js';
import { Dynconfig } from './dynconfig/dynconfig.js';
import { FileSource, StaticSource } from './dynconfig/file-source.js';
import { ManagerSource } from './dynconfig/manager-source.js';
import { ViewCache } from './dynconfig/view-cache.js';
import type { HostIdentity } from './host/identity.js';
import { SeedRegistration } from './manager/seed-registration.js';
import type { RoleProfile } from './role-profile.js';
import { AnnouncePeerConversation, type Conversation } from './scheduler/conversation.js';
import { isServing } from './scheduler/health-check.js';
import { isAlive } from './scheduler/proof-of-life.js';
import { PushListener } from './scheduler/push-listener.js';
import type { SchedulerLink } from './scheduler/scheduler-link.js';
import { SchedulerSet } from './scheduler/scheduler-set.js';
import { SeedPresence } from './scheduler/seed-presence.js';
import type { LinkTls } from './link-tls.js';

/** A download that comes before the first look at the cluster waits so long for it. */
const FIRST_VIEW_PATIENCE_MS = 1000;
/** A manager that is asked for other schedulers must have answered by then, and one of them ... */
const LOOK_PATIENCE_MS = 3000;
/** ... and it is asked by downloads only so long after the last scheduler was lost; its list is refreshed anyway. */
const LOSS_IS_NEWS_MS = 10_000;

export interface ClusterMembershipOptions {
  readonly config: DaemonConfig;
  readonly profile: RoleProfile;
  readonly identity: HostIdentity;
  readonly tls: LinkTls;
  readonly readiness: Readiness;
  readonly log: Logger;
  /** The announcement of this moment. */
  readonly hostNow: () => Promise<commonV2.Host>;
  /** A scheduler knows this host from now on, and nothing yet of what it has stored. */
  readonly onHostKnown: (link: SchedulerLink) => void;
}

/** What ties the daemon to its cluster: manager, schedulers, its announcements and, for a seed peer, its registration. */
export class ClusterMembership {
  readonly schedulers: SchedulerSet;
  readonly seeds: SeedPresence;
  readonly announcer: HostAnnouncer;
  readonly pushes: PushListener;
  private readonly manager: managerV2.ManagerClient | undefined;
  private readonly managerAddress: string | undefined;
  private readonly newsClient: extNotify.NotifyServiceClient | undefined;
  private news: NewsFeed | undefined;
  private dynconfig: Dynconfig | undefined;
  private registration: SeedRegistration | undefined;
  private readonly firstView = new AbortController();
  /** The schedulers of the latest view are being looked at. */
  private taking: Promise<void> = Promise.resolve();
  private isAlone = false;

  constructor(private readonly options: ClusterMembershipOptions) {
    const { config, tls, log, identity } = options;
    this.schedulers = new SchedulerSet({
      connect: (address) => createGrpcClient(schedulerV2.SchedulerClient, address, withTls(tls.scheduler)),
      log,
      onUsable: (link) => {
        this.announcer.onUsable(link);
      },
      onChange: () => {
        this.reportSchedulers();
      },
    });
    this.pushes = new PushListener(identity.hostId, log);
    this.announcer = new HostAnnouncer({
      hostNow: options.hostNow,
      hostId: identity.hostId,
      intervalMs: config.scheduler.announceInterval,
      schedulers: () => this.schedulers.all,
      log,
      onAnnounced: (link) => {
        this.pushes.announcedTo(link);
      },
      onState: (announced, known) => {
        this.reportAnnounced(announced, known);
      },
      onHostKnown: options.onHostKnown,
    });
    this.seeds = new SeedPresence(() => this.schedulers.all, config.dynconfig.refreshInterval, log);
    const split = config.manager.addr ? splitAddress(config.manager.addr) : undefined;
    if (split !== undefined) {
      this.managerAddress = hostPort(split.host, split.port);
      this.manager = createGrpcClient(managerV2.ManagerClient, this.managerAddress, withTls(tls.manager));
      this.newsClient = createGrpcClient(extNotify.NotifyServiceClient, this.managerAddress, withTls(tls.manager));
    }
  }

  get view(): ClusterView | undefined {
    return this.dynconfig?.view;
  }

  /** Looks at the cluster, then announces this host. The upload service must serve by now. */
  async join(uploadPort: number): Promise<void> {
    const { config, profile, log } = this.options;
    this.dynconfig = new Dynconfig({
      source: await this.sourceOfViews(),
      cache: new ViewCache(config.server.cacheDir),
      refreshIntervalMs: config.dynconfig.refreshInterval,
      log,
      onView: (view, origin) => {
        this.takeView(view, origin);
      },
    });
    await this.dynconfig.start();
    this.listenToNews();
    this.announcer.start();
    this.seeds.start();
    if (profile.registersAs === 'seed-peer') this.registerSeed(uploadPort);
  }

  /** Waits a moment for the first view of the cluster; a daemon that was just started should not run past its peers. */
  async whenKnown(): Promise<void> {
    if (this.firstView.signal.aborted) return;
    await sleep(FIRST_VIEW_PATIENCE_MS, this.firstView.signal);
    this.firstView.abort();
  }

  /**
   * The last scheduler was lost a moment ago: asks the manager at once whether there are others by now, and looks at them.
   * A cluster whose schedulers are replaced one after the other would else be taken for one without any.
   * @returns whether a scheduler is usable
   */
  async lookForSchedulers(signal: AbortSignal): Promise<boolean> {
    const { schedulers, dynconfig } = this;
    if (schedulers.all.length > 0) return true;
    const { lostAtMs } = schedulers;
    const isNews = lostAtMs !== undefined && performance.now() - lostAtMs < LOSS_IS_NEWS_MS;
    if (!isNews || dynconfig === undefined || this.manager === undefined) return false;
    const looking = async (): Promise<void> => {
      await dynconfig.refreshNow();
      // Those that were found dead are looked at again later, by whoever has the time.
      if (dynconfig.view.schedulers.some((scheduler) => !schedulers.isDown(scheduler))) await this.taking;
    };
    await within(unlessAborted(looking(), signal), LOOK_PATIENCE_MS);
    return schedulers.all.length > 0;
  }

  openConversation(link: SchedulerLink, taskId: string, peerId: string): Conversation {
    const call = link.client.announcePeer();
    for (const event of ['metadata', 'data']) {
      call.on(event, () => {
        link.heard();
      });
    }
    const look = (deadlineMs: number, signal: AbortSignal): Promise<boolean> =>
      isServing(link.client, deadlineMs, signal);
    return new AnnouncePeerConversation(
      call,
      { hostId: this.options.identity.hostId, taskId, peerId },
      (deadlineMs, signal) => isAlive(link, look, deadlineMs, signal),
    );
  }

  /** Says goodbye to schedulers and manager. */
  async leave(): Promise<void> {
    this.pushes.stop();
    await this.seeds.stop();
    await this.announcer.stop();
    await Promise.all([this.announcer.leave(), this.registration?.stop()]);
    await this.news?.stop();
    await this.dynconfig?.stop();
    await this.schedulers.stop();
    this.manager?.close();
    this.newsClient?.close();
  }

  private async sourceOfViews(): Promise<DynconfigSource | undefined> {
    const { config, profile, identity, log } = this.options;
    const onProblem = (problem: string): void => {
      log.warn({ problem }, 'cluster configuration');
    };
    if (this.manager !== undefined && this.managerAddress !== undefined) {
      return new ManagerSource({
        client: this.manager,
        address: this.managerAddress,
        identity,
        profile,
        idc: config.host.idc,
        location: config.host.location,
        schedulerClusterId: config.host.schedulerClusterID,
        onProblem,
      });
    }
    if (config.scheduler.addrs.length > 0) return new StaticSource(config.scheduler.addrs);
    const hasFile = await access(config.dynconfig.path).then(
      () => true,
      () => false,
    );
    return hasFile ? new FileSource(config.dynconfig.path, profile, onProblem) : undefined;
  }

  private listenToNews(): void {
    const { identity, profile, log } = this.options;
    if (this.newsClient === undefined) return;
    this.news = NewsFeed.start({
      client: this.newsClient,
      subscriber: {
        kind: profile.registersAs === 'seed-peer' ? 'seed-peer' : 'peer',
        hostname: identity.hostname,
        ip: identity.ip,
        clusterId: 0n,
      },
      onNews: (news) => {
        if (news.has('config')) void this.dynconfig?.refreshNow();
        if (news.has('certificates')) void this.options.tls.keeper?.refresh();
      },
      log,
    });
  }

  private takeView(view: ClusterView, origin: 'fresh' | 'cached' | 'alone'): void {
    const { readiness, log } = this.options;
    this.isAlone = origin === 'alone';
    const details = {
      fresh: `${view.schedulers.length} schedulers`,
      cached: `${view.schedulers.length} schedulers, from the disk: the manager does not answer`,
      alone: 'neither manager nor schedulers configured: working alone',
    };
    readiness.set('dynconfig', true, details[origin]);
    this.taking = this.schedulers
      .update(view.schedulers)
      .catch((error: unknown) => {
        log.error({ err: error }, 'cannot take over the list of schedulers');
      })
      .finally(() => {
        this.reportSchedulers();
        this.firstView.abort();
      });
  }

  private reportSchedulers(): void {
    const { readiness } = this.options;
    const count = this.schedulers.all.length;
    if (this.isAlone) readiness.set('scheduler-available', true, 'none configured');
    else readiness.set('scheduler-available', count > 0, `${count} usable`);
    this.announcer.onChange();
  }

  private reportAnnounced(announced: number, known: number): void {
    const { readiness } = this.options;
    if (this.isAlone) readiness.set('announced', true, 'nobody to announce to');
    else readiness.set('announced', announced > 0 && announced >= known, `to ${announced} of ${known} schedulers`);
  }

  private registerSeed(uploadPort: number): void {
    const { config, identity, readiness, log } = this.options;
    if (this.manager === undefined) {
      readiness.set('manager-registered', true, 'no manager configured');
      return;
    }
    this.registration = new SeedRegistration({
      client: this.manager,
      identity,
      clusterId: config.manager.seedPeerClusterID,
      port: uploadPort,
      idc: config.host.idc,
      location: config.host.location,
      keepAliveIntervalMs: config.manager.keepAliveInterval,
      log,
      onState: (isRegistered, detail) => {
        readiness.set('manager-registered', isRegistered, detail);
      },
    });
    this.registration.start();
  }
}

function withTls<T>(tls: T | undefined): { tls?: T } {
  return tls === undefined ? {} : { tls };
}
