import { DfError } from '@dragonfly/errors';
import {
  Database,
  insertRow,
  SchedulerClusterEntity,
  SchedulerEntity,
  updateRow,
  type JsonObject,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import { Clock } from '../clock.js';
import { onceMoreOnConflict } from './once-more-on-conflict.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { rankClusters, type SearchClient } from '../topology/searcher.js';
import { ACTIVE, type ClusterNode } from '../topology/topology.js';
import { FEATURE_SCHEDULE, SCHEDULER_FEATURES } from './scheduler-features.js';
import type { SeedPeerInCluster } from './seed-peer-registry.js';

/** A scheduler with the cluster it belongs to and the seed peers it may use. */
export interface SchedulerInCluster {
  readonly scheduler: SchedulerEntity;
  readonly cluster: SchedulerClusterEntity;
  /** Active ones of all linked seed peer clusters. */
  readonly seedPeers: readonly SeedPeerInCluster[];
}

/**
 * Schedulers of one cluster for peers. The same object as before means that nothing in it has changed; a new one is made
 * with each topology that is loaded.
 */
export type SchedulersOfCluster = readonly SchedulerInCluster[];

/** What a scheduler tells about itself when it registers. */
export interface SchedulerRegistration {
  readonly hostname: string;
  readonly ip: string;
  readonly port: number;
  readonly idc: string;
  readonly location: string;
  readonly clusterId: number;
  /** Empty = all. */
  readonly features: readonly string[];
  readonly config: JsonObject;
}

/** Schedulers as they register themselves and as peers look them up. */
@Injectable()
export class SchedulerRegistry {
  private readonly whole = new WeakMap<ClusterNode, SchedulersOfCluster>();
  private readonly usable = new WeakMap<ClusterNode, SchedulersOfCluster>();

  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  /**
   * A scheduler of the cluster by its host name; with the ip when several have the name.
   * @throws DfError `internal` "record not found": the status that clients of the original know
   */
  async get(hostname: string, ip: string, clusterId: number): Promise<SchedulerInCluster> {
    const node = (await this.topology.get()).schedulerClusters.get(clusterId);
    const named = node?.schedulers.filter((row) => row.hostName === hostname) ?? [];
    const scheduler = named.find((row) => row.ip === ip) ?? named[0];
    if (!node || !scheduler) {
      throw new DfError('internal', RECORD_NOT_FOUND);
    }
    return { scheduler, cluster: node.cluster, seedPeers: activeSeedPeers(node) };
  }

  /**
   * Registers the scheduler in its cluster, or brings its row up to date. Its state is left alone: it becomes active
   * with its keep-alive.
   * @throws DfError `not-found` when there is no such cluster
   */
  async register(registration: SchedulerRegistration): Promise<SchedulerEntity> {
    const { hostname: hostName, ip, clusterId: schedulerClusterId } = registration;
    const now = this.clock.now();
    const key = { hostName, ip, schedulerClusterId, isDel: 0 };
    const content: Partial<SchedulerEntity> = {
      idc: registration.idc,
      location: registration.location,
      port: registration.port,
      features: registration.features.length > 0 ? [...registration.features] : [...SCHEDULER_FEATURES],
      config: registration.config,
      lastKeepAliveAt: now,
    };
    const row = await onceMoreOnConflict(() =>
      this.database.transaction(async (manager) => {
        if (!(await manager.existsBy(SchedulerClusterEntity, { id: schedulerClusterId, isDel: 0 }))) {
          throw new DfError('not-found', `scheduler cluster ${schedulerClusterId} does not exist`);
        }
        const existing = await manager.findOneBy(SchedulerEntity, key);
        const id = existing
          ? existing.id
          : await insertRow(manager, SchedulerEntity, now, { ...content, hostName, ip, schedulerClusterId });
        if (existing) {
          await updateRow(manager, SchedulerEntity, now, id, content);
        }
        return manager.findOneByOrFail(SchedulerEntity, { id });
      }),
    );
    await this.topology.invalidate();
    return row;
  }

  /**
   * Every scheduler of one cluster, whatever its state: the peer was configured for this cluster and checks itself.
   * @throws DfError `not-found` when there is no such cluster
   */
  async ofCluster(clusterId: number): Promise<SchedulersOfCluster> {
    const node = (await this.topology.get()).schedulerClusters.get(clusterId);
    if (!node) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    return onceFor(this.whole, node, ({ cluster, schedulers }) =>
      schedulers.map((scheduler) => ({ scheduler, cluster, seedPeers: [] })),
    );
  }

  /** Active schedulers that schedule, by clusters, those that fit the client best first. */
  async search(client: SearchClient): Promise<SchedulersOfCluster[]> {
    const nodes = [...(await this.topology.get()).schedulerClusters.values()];
    return rankClusters(nodes, client).map((node) => onceFor(this.usable, node, usableSchedulers));
  }
}

function usableSchedulers(node: ClusterNode): SchedulersOfCluster {
  const usable = node.schedulers.filter((row) => row.state === ACTIVE && row.features.includes(FEATURE_SCHEDULE));
  const seedPeers = usable.length > 0 ? activeSeedPeers(node) : [];
  return usable.map((scheduler) => ({ scheduler, cluster: node.cluster, seedPeers }));
}

function onceFor<K extends object, V>(known: WeakMap<K, V>, key: K, make: (key: K) => V): V {
  let value = known.get(key);
  if (value === undefined) {
    value = make(key);
    known.set(key, value);
  }
  return value;
}

function activeSeedPeers(node: ClusterNode): SeedPeerInCluster[] {
  return node.seedPeerClusters.flatMap(({ cluster, seedPeers }) =>
    seedPeers.filter((row) => row.state === ACTIVE).map((seedPeer) => ({ seedPeer, cluster })),
  );
}
