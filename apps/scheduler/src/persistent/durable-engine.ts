import type { Kv } from '@dragonfly/kv';
import type { ClientTls, StreamCall } from '@dragonfly/rpc';
import type { CandidateLimits } from '@dragonfly/scheduling';
import type { SchedulerState } from '../scheduler-state.js';
import { DurableKeys, type DurableKind, PERSISTENT, PERSISTENT_CACHE } from './durable-kind.js';
import { DurableSession, type DurableWire } from './durable-session.js';
import { DurableStore } from './durable-store.js';
import { DurableTasks } from './durable-tasks.js';
import { HostBook } from './host-book.js';
import { GrpcReplicaGateway } from './replica-gateway.js';
import { Replicator } from './replicator.js';
import { type AnnouncedHost, SharedHosts } from './shared-hosts.js';

/** While tasks are short of replicas, announcements of hosts make them be looked at this often at the most. */
const RETRY_PAUSE_MS = 60_000;

export interface DurableEnginesOptions {
  readonly state: Pick<SchedulerState, 'resources' | 'hosts' | 'metrics' | 'records' | 'clock' | 'log'>;
  readonly kv: Kv;
  readonly clusterId: number;
  readonly limits: () => CandidateLimits;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** For calls to the daemons that keep replicas. */
  readonly peerTls: ClientTls | undefined;
  /** Address of this scheduler. */
  readonly ip: string;
}

/** Durable tasks of one kind: unary calls go to `tasks`, announce streams to `announce`. */
export class DurableEngine {
  readonly #sessions = new Set<{ shutDown(): void }>();

  constructor(
    readonly tasks: DurableTasks,
    private readonly parentLimit: () => number,
    private readonly clock: SchedulerState['clock'],
    private readonly records: SchedulerState['records'],
  ) {}

  /** Announce streams that are open. */
  get openStreams(): number {
    return this.#sessions.size;
  }

  announce<Req, Res>(call: StreamCall<Req, Res>, wire: DurableWire<Req, Res>): void {
    const { tasks, parentLimit, clock, records } = this;
    const session = DurableSession.serve(call, wire, { tasks, parentLimit, clock, records }, () => {
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
  }

  close(): void {
    for (const session of [...this.#sessions]) session.shutDown();
    this.tasks.close();
  }
}

/** Both kinds of durable tasks with the hosts they share. */
export class DurableEngines {
  readonly persistent: DurableEngine;
  readonly persistentCache: DurableEngine;
  readonly #sharedHosts: SharedHosts | undefined;
  readonly #log: SchedulerState['log'];
  /** Until somebody has looked, a run before this one may have left tasks that are short of replicas. */
  #mayBeShort = true;
  #retryAtMs = -Infinity;

  constructor(private readonly options: DurableEnginesOptions) {
    const { state, kv, clusterId } = options;
    this.#log = state.log;
    const keys = [new DurableKeys(clusterId, PERSISTENT), new DurableKeys(clusterId, PERSISTENT_CACHE)] as const;
    // In the memory of this process nobody else could read them.
    this.#sharedHosts = kv.kind === 'redis' ? new SharedHosts(kv.records, keys, state.clock, state.log) : undefined;
    this.persistent = this.#engine(PERSISTENT, keys[0], state.metrics.persistent);
    this.persistentCache = this.#engine(PERSISTENT_CACHE, keys[1], state.metrics.persistentCache);
  }

  /** @param intervalMs time until its next announcement; 0 = unknown */
  hostAnnounced(host: Parameters<SharedHosts['announced']>[0], intervalMs: number): void {
    this.#sharedHosts?.announced(host, intervalMs);
    this.#retrySoon();
  }

  /**
   * A host that has announced itself to another scheduler of the cluster, or to this one before a restart.
   * @throws DfError `unavailable`
   */
  async recallHost(hostId: string): Promise<AnnouncedHost | undefined> {
    return this.#sharedHosts?.recall(hostId);
  }

  /** A host has said that it leaves. */
  hostLeft(hostId: string): void {
    void this.#hostGone(hostId);
  }

  /** A host has missed its announcements here; another scheduler may have heard from it. */
  hostMissed(hostId: string): void {
    void this.#ifGone(hostId);
  }

  /**
   * Looks for hosts that have gone while no scheduler knew them in memory, and for hosts for replicas that are missing.
   * Never rejects.
   */
  async collectHosts(): Promise<void> {
    await this.#retry();
    try {
      const gone = (await this.#sharedHosts?.gone()) ?? [];
      for (const hostId of gone) await this.#hostGone(hostId);
    } catch (error) {
      this.#log.debug({ err: error }, 'hosts that have gone could not be looked for');
    }
  }

  /** Resolves when what was said at the end of the streams has been written. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all([this.persistent.tasks.settled(), this.persistentCache.tasks.settled()]);
  }

  close(): void {
    this.#sharedHosts?.close();
    this.persistent.close();
    this.persistentCache.close();
  }

  /** A host that announces itself may take replicas for which there was no room, or no scheduler. */
  #retrySoon(): void {
    const nowMs = this.options.state.clock.nowMs();
    if (!this.#mayBeShort || nowMs < this.#retryAtMs) return;
    this.#retryAtMs = nowMs + RETRY_PAUSE_MS;
    void this.#retry();
  }

  async #retry(): Promise<void> {
    try {
      const engines = [this.persistent, this.persistentCache];
      const counts = await Promise.all(engines.map(({ tasks }) => tasks.options.replicator.retry()));
      this.#mayBeShort = counts.some((count) => count > 0);
    } catch (error) {
      this.#log.debug({ err: error }, 'tasks that are short of replicas could not be looked for');
    }
  }

  async #ifGone(hostId: string): Promise<void> {
    try {
      if ((await this.#sharedHosts?.isGone(hostId)) ?? true) await this.#hostGone(hostId);
    } catch (error) {
      this.#log.debug({ err: error, hostId }, 'a host that missed its announcements is looked at again later');
    }
  }

  async #hostGone(hostId: string): Promise<void> {
    try {
      await this.persistent.tasks.hostGone(hostId);
      await this.persistentCache.tasks.hostGone(hostId);
      this.#sharedHosts?.removed(hostId);
    } catch (error) {
      // Its record stays, so that the next search for hosts that have gone finds it.
      this.#log.warn({ err: error, hostId }, 'replicas of a host that has gone could not be given up');
    }
  }

  #engine(kind: DurableKind, keys: DurableKeys, metrics: SchedulerState['metrics']['persistent']): DurableEngine {
    const { state, kv, limits, random, peerTls, ip } = this.options;
    const { clock, log } = state;
    const nowMs = (): number => clock.nowMs();
    const store = new DurableStore(kv.records, keys, nowMs);
    const hosts = new HostBook(state, this.#sharedHosts);
    const gateway = new GrpcReplicaGateway({ hasSource: kind.hasSource, tls: peerTls, remoteIp: ip });
    const replicator = new Replicator({
      kind,
      store,
      hosts,
      gateway,
      lock: kv.lock,
      lockPrefix: `${keys.task('')}`,
      random,
      log,
    });
    const tasks = new DurableTasks({ kind, store, hosts, replicator, gateway, metrics, nowMs, log });
    return new DurableEngine(tasks, () => limits().candidateParentLimit, clock, state.records);
  }
}
