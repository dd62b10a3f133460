import { DfError } from '@dragonfly/errors';
import {
  Database,
  insertRow,
  type SchedulerClusterEntity,
  type SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
  updateRow,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import { Clock } from '../clock.js';
import { onceMoreOnConflict } from './once-more-on-conflict.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { ACTIVE } from '../topology/topology.js';

export interface SeedPeerInCluster {
  readonly seedPeer: SeedPeerEntity;
  readonly cluster: SeedPeerClusterEntity;
}

/** A seed peer with its cluster and the active schedulers of the scheduler clusters that this one serves. */
export interface SeedPeerWithSchedulers extends SeedPeerInCluster {
  readonly schedulers: readonly { readonly scheduler: SchedulerEntity; readonly cluster: SchedulerClusterEntity }[];
}

/** What a seed peer tells about itself when it registers. */
export interface SeedPeerRegistration {
  readonly hostname: string;
  readonly ip: string;
  readonly type: string;
  readonly idc: string;
  readonly location: string;
  readonly port: number;
  readonly downloadPort: number;
  readonly clusterId: number;
}

/** Seed peers as they register themselves and as they are looked up. */
@Injectable()
export class SeedPeerRegistry {
  constructor(
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `internal` "record not found": the status that clients of the original know */
  async get(hostname: string, ip: string, clusterId: number): Promise<SeedPeerWithSchedulers> {
    const { seedPeerClusters, schedulerClusters } = await this.topology.get();
    const node = seedPeerClusters.get(clusterId);
    const named = node?.seedPeers.filter((row) => row.hostName === hostname) ?? [];
    const seedPeer = named.find((row) => row.ip === ip) ?? named[0];
    if (!node || !seedPeer) {
      throw new DfError('internal', RECORD_NOT_FOUND);
    }
    const schedulers = node.schedulerClusterIds
      .map((id) => schedulerClusters.get(id))
      .filter((cluster) => cluster !== undefined)
      .flatMap(({ cluster, schedulers: rows }) =>
        rows.filter((row) => row.state === ACTIVE).map((scheduler) => ({ scheduler, cluster })),
      );
    return { seedPeer, cluster: node.cluster, schedulers };
  }

  /**
   * The active seed peers of the cluster that the asking seed peer belongs to.
   * @throws DfError `not-found` when the asking one is unknown or there are none
   */
  async neighbours(hostname: string, ip: string): Promise<SeedPeerInCluster[]> {
    const { seedPeerClusters } = await this.topology.get();
    const own = [...seedPeerClusters.values()].find((node) =>
      node.seedPeers.some((row) => row.hostName === hostname && row.ip === ip),
    );
    const active = own?.seedPeers.filter((row) => row.state === ACTIVE) ?? [];
    if (!own || active.length === 0) {
      throw new DfError('not-found', 'seed peers not found');
    }
    return active.map((seedPeer) => ({ seedPeer, cluster: own.cluster }));
  }

  /**
   * Registers the seed peer in its cluster, or brings its row up to date; it is active at once.
   * @throws DfError `not-found` when there is no such cluster
   */
  async register(registration: SeedPeerRegistration): Promise<SeedPeerInCluster> {
    const { hostname: hostName, ip, clusterId: seedPeerClusterId } = registration;
    const now = this.clock.now();
    const content: Partial<SeedPeerEntity> = {
      type: registration.type,
      idc: registration.idc,
      location: registration.location,
      port: registration.port,
      downloadPort: registration.downloadPort,
      state: ACTIVE,
    };
    const registered = await onceMoreOnConflict(() =>
      this.database.transaction(async (manager) => {
        const cluster = await manager.findOneBy(SeedPeerClusterEntity, { id: seedPeerClusterId, isDel: 0 });
        if (!cluster) {
          throw new DfError('not-found', `seed peer cluster ${seedPeerClusterId} does not exist`);
        }
        const existing = await manager.findOneBy(SeedPeerEntity, { hostName, ip, seedPeerClusterId, isDel: 0 });
        const id = existing
          ? existing.id
          : await insertRow(manager, SeedPeerEntity, now, {
              ...content,
              hostName,
              ip,
              seedPeerClusterId,
              objectStoragePort: 0,
            });
        if (existing) {
          await updateRow(manager, SeedPeerEntity, now, id, content);
        }
        return { cluster, seedPeer: await manager.findOneByOrFail(SeedPeerEntity, { id }) };
      }),
    );
    await this.topology.invalidate();
    return registered;
  }

  /** Forgets the seed peer; one that is not known is no error. An empty ip matches every ip. */
  async delete(hostname: string, ip: string, clusterId: number): Promise<void> {
    await this.database.transaction((manager) =>
      manager.delete(SeedPeerEntity, {
        hostName: hostname,
        seedPeerClusterId: clusterId,
        ...(ip === '' ? {} : { ip }),
      }),
    );
    await this.topology.invalidate();
  }
}
