import { DfError } from '@dragonfly/errors';
import { KeyValueStore, MAX_SCAN_KEYS, RecordStore } from '@dragonfly/kv';
import type { Empty, schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { SchedulerClusterEntity, Database } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import type { TenantScope } from '../auth/tenant-scope.js';
import { SchedulerClients } from '../jobs/dispatch/scheduler-clients.js';
import { rowById } from '../rest/resource-rows.js';
import { ACTIVE } from '../topology/topology.js';
import { TopologyCache } from '../topology/topology-cache.js';
import {
  peerBody,
  taskBody,
  textOf,
  type PersistentCachePeerBody,
  type PersistentCacheTaskBody,
} from './persistent-task-bodies.js';

/** Peers of one task that are shown. */
const MAX_PEERS = 1_000;
const DELETE_DEADLINE_MS = 10_000;
/** Who asks a scheduler: it wants to know. */
const ASKING_HOST = 'manager';

/**
 * Persistent cache tasks, as schedulers (ours and the original's) keep them in the shared Redis. Without Redis every
 * scheduler keeps its own in memory, and there is nothing to be seen here.
 */
@Injectable()
export class PersistentTasksService {
  constructor(
    private readonly store: KeyValueStore,
    private readonly records: RecordStore,
    private readonly database: Database,
    private readonly topology: TopologyCache,
    private readonly clients: SchedulerClients,
  ) {}

  /** All tasks of the cluster, oldest first; a tenant sees those of its applications. */
  async list(clusterId: number, scope: TenantScope): Promise<PersistentCacheTaskBody[]> {
    await this.requireCluster(clusterId, scope);
    const prefix = `${prefixOf(clusterId)}persistent-cache-tasks:`;
    // The sets of a task's peers have its key and more.
    const keys = (await this.store.scan(prefix, MAX_SCAN_KEYS)).filter(
      (key) => !key.slice(prefix.length).includes(':'),
    );
    const bodies: PersistentCacheTaskBody[] = [];
    for (const record of await this.records.readAll(keys)) {
      if (record && scope.hasApplication(textOf(record, 'application'))) {
        bodies.push(taskBody(record, await this.peersOf(clusterId, textOf(record, 'id'))));
      }
    }
    return bodies.sort((a, b) => a.created_at.localeCompare(b.created_at) || a.id.localeCompare(b.id));
  }

  /** @throws DfError `not-found` */
  async get(clusterId: number, id: string, scope: TenantScope): Promise<PersistentCacheTaskBody> {
    await this.requireCluster(clusterId, scope);
    const record = await this.records.read(taskKey(clusterId, id));
    if (!record || !scope.hasApplication(textOf(record, 'application'))) {
      throw new DfError('not-found', 'task not found');
    }
    return taskBody(record, await this.peersOf(clusterId, id));
  }

  /**
   * Has a scheduler of the cluster delete the task with its copies; without one only what is known of it goes.
   * @throws DfError `not-found` (cluster, a task that the caller may not see)
   */
  async delete(clusterId: number, id: string, scope: TenantScope): Promise<void> {
    await this.requireCluster(clusterId, scope);
    const record = await this.records.read(taskKey(clusterId, id));
    if (scope.applications && !scope.hasApplication(record ? textOf(record, 'application') : '')) {
      throw new DfError('not-found', 'task not found');
    }
    const node = (await this.topology.get()).schedulerClusters.get(clusterId);
    const scheduler = node?.schedulers.find((row) => row.state === ACTIVE);
    if (scheduler) {
      const client = this.clients.scheduler({ ...scheduler, hostname: scheduler.hostName, clusterId });
      try {
        await unary<schedulerV2.DeletePersistentCacheTaskRequest, Empty>(
          client.deletePersistentCacheTask.bind(client),
          { hostId: ASKING_HOST, taskId: id },
          { deadlineMs: DELETE_DEADLINE_MS },
        );
      } catch (error) {
        if (DfError.from(error).code !== 'not-found') {
          throw error;
        }
      }
    }
    await this.records.delete(taskKey(clusterId, id));
  }

  private async requireCluster(clusterId: number, scope: TenantScope): Promise<void> {
    scope.requireCluster(clusterId);
    await rowById(this.database.manager, SchedulerClusterEntity, clusterId);
  }

  private async peersOf(clusterId: number, taskId: string): Promise<PersistentCachePeerBody[]> {
    const prefix = prefixOf(clusterId);
    const kind = 'persistent-cache-peers-for-persistent-cache-task';
    const ids = await this.records.members(`${taskKey(clusterId, taskId)}:${kind}`, MAX_PEERS);
    const peers = (await this.records.readAll(ids.map((id) => `${prefix}${kind}:${id}`))).filter(
      (one) => one !== undefined,
    );
    const hosts = await this.records.readAll(
      peers.map((peer) => `${prefix}persistent-cache-hosts:${textOf(peer, 'host_id')}`),
    );
    return peers.map((peer, n) => peerBody(peer, hosts[n]));
  }
}

function prefixOf(clusterId: number): string {
  return `scheduler:scheduler-clusters:${clusterId}:`;
}

function taskKey(clusterId: number, id: string): string {
  return `${prefixOf(clusterId)}persistent-cache-tasks:${id}`;
}
