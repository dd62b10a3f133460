import { DfError } from '@dragonfly/errors';
import { msToDuration } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { SchedulerClients } from '../jobs/dispatch/scheduler-clients.js';
import type { PreheatArgs } from '../jobs/job-requests.js';
import { ACTIVE } from '../topology/topology.js';
import type { TopologyCache } from '../topology/topology-cache.js';
import { objectStorageOf, textOf } from './object-storage-args.js';

const LIST_DEADLINE_MS = 60_000;

/** Lists directories that only daemons can read (object storages, HDFS), through a seed peer. */
export class SeedLister {
  constructor(
    private readonly topology: TopologyCache,
    private readonly clients: SchedulerClients,
  ) {}

  /** @throws DfError `unavailable` without a seed peer, else the last one's failure */
  async list(url: string, args: PreheatArgs, signal: AbortSignal): Promise<string[]> {
    const topology = await this.topology.get();
    const seeds = [...topology.seedPeerClusters.values()]
      .flatMap((node) => node.seedPeers)
      .filter((seed) => seed.state === ACTIVE);
    let failure = new DfError('unavailable', 'a directory of this kind needs an active seed peer to list it');
    for (const seed of seeds) {
      const client = this.clients.daemon(seed.ip, seed.port);
      try {
        const { entries } = await unary(
          client.listTaskEntries.bind(client),
          {
            taskId: '',
            url,
            requestHeader: args.headers ?? {},
            timeout: msToDuration(LIST_DEADLINE_MS),
            objectStorage: args.object_storage && objectStorageOf(args.object_storage),
            hdfs: args.hdfs && { delegationToken: textOf(args.hdfs, 'delegation_token') },
          },
          { deadlineMs: LIST_DEADLINE_MS, signal },
        );
        return entries.filter((entry) => !entry.isDir).map((entry) => entry.url);
      } catch (error) {
        signal.throwIfAborted();
        failure = DfError.from(error);
      } finally {
        client.close();
      }
    }
    throw failure;
  }
}
