import type { ClientWritableStream } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { type News, NewsFeed } from '@dragonfly/manager-client';
import { extNotify, managerV2 } from '@dragonfly/proto';
import { type ClientTls, createGrpcClient, unary } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { Identity } from '../config/scheduler-config.js';
import { type DynamicConfig, applicationSchema, dynamicConfigSchema } from './dynamic-config.js';

/** Deadline of a unary call. The original waits 2 minutes; a manager that needs more than this is as good as down. */
const CALL_DEADLINE_MS = 20_000;
/** Longest wait for the manager to confirm that a keep-alive stream has ended. */
const END_TIMEOUT_MS = 1000;

export interface ManagerGatewayOptions {
  /** `host:port`; a scheme in front is ignored. */
  readonly address: string;
  readonly tls: ClientTls | undefined;
  readonly identity: Identity;
  readonly schedulerClusterId: number;
  readonly idc: string;
  readonly location: string;
  /** What it can do, e.g. `schedule`, `preheat`. */
  readonly features: readonly string[];
  readonly keepAliveIntervalMs: number;
}

/** What the manager thinks of this scheduler. */
export interface ManagerView {
  readonly config: DynamicConfig;
  /** Only active schedulers are named to peers. */
  readonly isActive: boolean;
}

const INACTIVE = 'inactive';

/** The calls to the manager that a scheduler makes. */
export class ManagerGateway {
  readonly #client: managerV2.ManagerClient;
  readonly #newsClient: extNotify.NotifyServiceClient;

  constructor(private readonly options: ManagerGatewayOptions) {
    const address = options.address.replace(/^[a-z]+:\/\//, '');
    const withTls = options.tls === undefined ? {} : { tls: options.tls };
    this.#client = createGrpcClient(managerV2.ManagerClient, address, withTls);
    this.#newsClient = createGrpcClient(extNotify.NotifyServiceClient, address, withTls);
  }

  /** Registers this scheduler, or brings its row up to date. */
  async register(signal: AbortSignal): Promise<void> {
    const { identity, schedulerClusterId, idc, location, keepAliveIntervalMs } = this.options;
    await unary<managerV2.UpdateSchedulerRequest, managerV2.Scheduler>(
      this.#client.updateScheduler.bind(this.#client),
      {
        sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
        hostname: identity.hostname,
        ip: identity.ip,
        port: identity.port,
        schedulerClusterId: BigInt(schedulerClusterId),
        idc: idc || undefined,
        location: location || undefined,
        features: [...this.options.features],
        // Durations are nanoseconds in the manager's JSON.
        config: Buffer.from(JSON.stringify({ manager_keep_alive_interval: keepAliveIntervalMs * 1e6 })),
      },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
  }

  /**
   * The dynamic configuration of this scheduler's cluster.
   * @throws DfError; a manager that has forgotten this scheduler answers `not-found` or `internal`
   */
  async fetch(signal: AbortSignal): Promise<ManagerView> {
    const { identity, schedulerClusterId } = this.options;
    const scheduler = await unary<managerV2.GetSchedulerRequest, managerV2.Scheduler>(
      this.#client.getScheduler.bind(this.#client),
      {
        sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
        hostname: identity.hostname,
        ip: identity.ip,
        schedulerClusterId: BigInt(schedulerClusterId),
      },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
    return {
      config: dynamicConfigOf(scheduler, await this.#applications(signal)),
      isActive: scheduler.state !== INACTIVE,
    };
  }

  /**
   * Opens the keep-alive stream; the manager holds this scheduler for active as long as it is open.
   * @param onEnd called once with the reason when the stream is over, not after a `cancel` of ours
   */
  openKeepAlive(onEnd: (error: DfError) => void): KeepAliveStream {
    const { identity, schedulerClusterId } = this.options;
    return new KeepAliveStream(
      {
        sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
        hostname: identity.hostname,
        ip: identity.ip,
        clusterId: BigInt(schedulerClusterId),
      },
      (callback) => this.#client.keepAlive(callback),
      onEnd,
    );
  }

  /** Listens to what changes at the manager; a manager of another make has no news. To be stopped before `close`. */
  listen(onNews: (news: ReadonlySet<News>) => void, log: Logger): NewsFeed {
    const { identity, schedulerClusterId } = this.options;
    const subscriber = {
      kind: 'scheduler',
      hostname: identity.hostname,
      ip: identity.ip,
      clusterId: BigInt(schedulerClusterId),
    };
    return NewsFeed.start({ client: this.#newsClient, subscriber, onNews, log });
  }

  close(): void {
    this.#client.close();
    this.#newsClient.close();
  }

  /** A manager without applications answers NOT_FOUND, an old one UNIMPLEMENTED. */
  async #applications(signal: AbortSignal): Promise<readonly managerV2.Application[]> {
    const { identity } = this.options;
    try {
      const { applications } = await unary<managerV2.ListApplicationsRequest, managerV2.ListApplicationsResponse>(
        this.#client.listApplications.bind(this.#client),
        { sourceType: managerV2.SourceType.SCHEDULER_SOURCE, hostname: identity.hostname, ip: identity.ip },
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
      return applications;
    } catch (caught) {
      const error = DfError.from(caught);
      if (error.code === 'not-found' || error.code === 'unimplemented') return [];
      throw error;
    }
  }
}

/** One keep-alive stream. */
export class KeepAliveStream {
  readonly #stream: ClientWritableStream<managerV2.KeepAliveRequest>;
  readonly #closed = Promise.withResolvers<void>();
  #isOver = false;

  constructor(
    private readonly message: managerV2.KeepAliveRequest,
    open: (callback: (error: Error | null) => void) => ClientWritableStream<managerV2.KeepAliveRequest>,
    onEnd: (error: DfError) => void,
  ) {
    const end = (error: Error | null | undefined): void => {
      this.#closed.resolve();
      if (this.#isOver) return;
      this.#isOver = true;
      onEnd(
        error == null ? new DfError('unavailable', 'the manager ended the keep-alive stream') : DfError.from(error),
      );
    };
    this.#stream = open(end);
    this.#stream.on('error', end);
  }

  /** Says that we live. Skipped while the manager has not taken the last message. @returns true when it was sent */
  beat(onSent?: () => void): boolean {
    if (this.#isOver || this.#stream.writableNeedDrain) return false;
    this.#stream.write(this.message, (error: unknown) => {
      if (error == null && !this.#isOver) onSent?.();
    });
    return true;
  }

  /**
   * Ends the stream: the manager marks this scheduler inactive at once.
   * @returns when the manager has taken note, or has not within a second
   */
  async end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream.end();
    const giveUp = setTimeout(() => {
      this.#stream.cancel();
      this.#closed.resolve();
    }, END_TIMEOUT_MS);
    await this.#closed.promise;
    clearTimeout(giveUp);
  }
}

function dynamicConfigOf(
  scheduler: managerV2.Scheduler,
  applications: readonly managerV2.Application[],
): DynamicConfig {
  const cluster = jsonOf(scheduler.schedulerCluster?.config);
  const client = jsonOf(scheduler.schedulerCluster?.clientConfig);
  const seed = jsonOf(scheduler.seedPeers[0]?.seedPeerCluster?.config);
  return dynamicConfigSchema.parse({
    applications: applications.flatMap(({ name, priority }) => {
      // One that makes no sense must not keep all other settings from being taken over.
      const { success, data } = applicationSchema.safeParse({
        name,
        priority: { value: priority?.value ?? 0, urls: priority?.urls ?? [] },
      });
      return success ? [data] : [];
    }),
    schedulerClusterConfig: {
      candidateParentLimit: numberOf(cluster['candidate_parent_limit']),
      filterParentLimit: numberOf(cluster['filter_parent_limit']),
      schedulingStrategy: cluster['scheduling_strategy'] ?? undefined,
      sourceLease: sourceLeaseOf(cluster['source_lease']),
    },
    schedulerClusterClientConfig: { loadLimit: numberOf(client['load_limit']) },
    seedPeerClusterConfig: { loadLimit: numberOf(seed['load_limit']) },
  });
}

/** The manager's keys in the words of the local file; what is no object is passed on to be refused by name. */
function sourceLeaseOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? undefined;
  const { readers, origin_bandwidth_limit, origin_concurrent_requests } = value as Readonly<Record<string, unknown>>;
  const said = Object.entries({
    readers,
    originBandwidthLimit: origin_bandwidth_limit,
    originConcurrentRequests: origin_concurrent_requests,
  });
  // The manager says nothing by null, and by 0 where 0 makes no sense.
  const isSaid = ([key, entry]: readonly [string, unknown]): boolean =>
    entry != null && !(key === 'readers' && entry === 0);
  return Object.fromEntries(said.filter(isSaid));
}

/** The object in a bytes field of the manager; empty for anything that is none. */
function jsonOf(bytes: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  if (bytes === undefined || bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // The manager's mistake: what it meant to say is not said, the defaults hold.
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.trunc(value) : 0;
}
