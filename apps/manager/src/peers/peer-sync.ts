import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { Database, insertRow, PeerEntity, updateRow } from '@dragonfly/persistence';
import type { commonV2 } from '@dragonfly/proto';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Clock } from '../clock.js';
import { Dispatcher } from '../jobs/dispatch/dispatcher.js';
import type { SchedulerTarget, WorkHost } from '../jobs/dispatch/scheduler-work.js';
import type { JobSettings } from '../jobs/job-settings.js';
import { SchedulerCandidates } from '../jobs/scheduler-candidates.js';
import { Logger } from '../logger.js';
import { ACTIVE } from '../topology/topology.js';
import { Turns } from '../turns.js';

const LOCK_TTL_MS = 60_000;
/** Rows changed in one transaction. */
const BATCH = 500;
const NORMAL = 0;

/** What a sync did to the peers of one cluster. */
export interface PeerSyncResult {
  inserted: number;
  updated: number;
  deleted: number;
}

/** How long one scheduler may take. */
export class PeerSyncSettings {
  readonly timeoutMs: number;

  constructor({ syncPeersTimeoutMs }: JobSettings) {
    this.timeoutMs = syncPeersTimeoutMs;
  }
}

/** Brings the table of peers up to date with the hosts that schedulers know. */
@Injectable()
export class PeerSync {
  constructor(
    private readonly database: Database,
    private readonly candidates: SchedulerCandidates,
    private readonly dispatcher: Dispatcher,
    private readonly turns: Turns,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly settings: PeerSyncSettings,
  ) {}

  /**
   * Asks one active scheduler of each cluster.
   * @param requested empty = every cluster
   * @throws DfError `failed-precondition` while another sync runs; the last failure when no cluster could be read
   */
  async sync(requested: readonly number[]): Promise<PeerSyncResult> {
    const result = await this.turns.run('manager:sync-peers', { ttlMs: LOCK_TTL_MS }, async (lost) => {
      const targets = await this.candidates.oneOfEach(await this.candidates.clusters(requested));
      const sum: PeerSyncResult = { inserted: 0, updated: 0, deleted: 0 };
      let failure: DfError | undefined;
      for (const target of targets) {
        try {
          const done = await this.syncCluster(target, lost);
          sum.inserted += done.inserted;
          sum.updated += done.updated;
          sum.deleted += done.deleted;
        } catch (error) {
          failure = DfError.from(error);
          this.log.warn({ err: failure, schedulerClusterId: target.clusterId }, 'peers could not be synchronised');
        }
      }
      if (failure && requested.length > 0) {
        throw failure;
      }
      return sum;
    });
    if (result === 'busy') {
      throw new DfError('failed-precondition', 'sync peers job is running');
    }
    return result;
  }

  private async syncCluster(target: SchedulerTarget, signal: AbortSignal): Promise<PeerSyncResult> {
    const found = new Map<string, WorkHost>();
    const end = await this.dispatcher.run({
      target,
      work: { kind: 'sync_peers' },
      runId: `sync-peers-${randomUUID()}`,
      timeoutMs: this.settings.timeoutMs,
      signal,
      onEvent: (event) => {
        if (event.type === 'restart') {
          found.clear();
        }
        for (const entry of event.type === 'hosts' ? event.hosts : []) {
          found.set(entry.host.id, entry);
        }
      },
    });
    if (end.state !== 'succeeded') {
      throw new DfError('unavailable', `scheduler ${target.hostname}: ${end.description || end.state}`);
    }
    return this.merge(
      target.clusterId,
      [...found.values()].map(({ host }) => host),
    );
  }

  /**
   * Known hosts are brought up to date and active, new ones inserted, those that are missing deleted. A host belongs to
   * the cluster of the scheduler that knows it. The original leaves out those that do not name their cluster, which by
   * default is all of them.
   */
  private async merge(clusterId: number, hosts: readonly commonV2.Host[]): Promise<PeerSyncResult> {
    const rows = await this.database.transaction((manager) =>
      manager.find(PeerEntity, {
        where: { schedulerClusterId: clusterId },
        select: { id: true, hostName: true, ip: true },
      }),
    );
    const idByKey = new Map(rows.map((row) => [keyOf(row.hostName, row.ip), row.id]));
    const wanted = new Map(hosts.map((host) => [keyOf(host.hostname, host.ip), host]));
    const now = this.clock.now();
    const result: PeerSyncResult = { inserted: 0, updated: 0, deleted: 0 };
    for (const batch of batchesOf([...wanted])) {
      await this.database.transaction(async (manager) => {
        for (const [key, host] of batch) {
          const content = { ...contentOf(host), schedulerClusterId: clusterId };
          const id = idByKey.get(key);
          if (id === undefined) {
            await insertRow(manager, PeerEntity, now, content);
            result.inserted += 1;
          } else {
            await updateRow(manager, PeerEntity, now, id, content);
            result.updated += 1;
          }
        }
      });
    }
    const gone = rows.filter((row) => !wanted.has(keyOf(row.hostName, row.ip))).map((row) => row.id);
    for (const batch of batchesOf(gone)) {
      await this.database.transaction((manager) => manager.delete(PeerEntity, { id: In(batch) }));
      result.deleted += batch.length;
    }
    return result;
  }
}

/** The unique key of the table within a cluster. MySQL compares without regard to case. */
function keyOf(hostName: string, ip: string): string {
  return `${hostName.toLowerCase()} ${ip.toLowerCase()}`;
}

function contentOf(host: commonV2.Host): Partial<PeerEntity> {
  return {
    hostName: host.hostname,
    type: host.type === NORMAL ? 'normal' : 'super',
    idc: host.network?.idc ?? '',
    location: host.network?.location ?? '',
    ip: host.ip,
    port: host.port,
    downloadPort: host.downloadPort,
    proxyPort: host.proxyPort,
    objectStoragePort: 0,
    state: ACTIVE,
    os: host.os,
    platform: host.platform,
    platformFamily: host.platformFamily,
    platformVersion: host.platformVersion,
    kernelVersion: host.kernelVersion,
    gitVersion: host.build?.gitVersion ?? '',
    gitCommit: host.build?.gitCommit ?? '',
    buildPlatform: host.build?.platform ?? '',
  };
}

function* batchesOf<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += BATCH) {
    yield all.slice(from, from + BATCH);
  }
}
