import { DfError } from '@dragonfly/errors';
import type { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { inParallel } from './in-parallel.js';
import { listHosts, outcomeOf } from './original-hosts.js';
import { OriginalPreheat } from './original-preheat.js';
import type { SchedulerClients } from './scheduler-clients.js';
import type { SyncPeersWork, TaskWork, WorkEnd, WorkRun } from './scheduler-work.js';

/** Deadline of one call that answers at once. */
const CALL_DEADLINE_MS = 10_000;
/** Hosts told of at a time. */
const HOST_BATCH = 500;

/**
 * Lets schedulers of the original do the work: they preheat in the background and can only be asked who holds what. A
 * failure is therefore seen as "not there when the time was over". A task with a tag is downloaded by the hosts at our
 * own request, since their scheduler forgets the tag.
 */
export class OriginalDispatch {
  private readonly preheats: OriginalPreheat;

  constructor(private readonly clients: SchedulerClients) {
    this.preheats = new OriginalPreheat(clients);
  }

  /** @throws DfError the signal's reason, when it is not `cancelled` */
  async run(run: WorkRun): Promise<WorkEnd> {
    const timeout = AbortSignal.timeout(run.timeoutMs);
    const signal = AbortSignal.any([run.signal, timeout]);
    try {
      return await this.carryOut({ ...run, signal });
    } catch (error) {
      if (run.signal.aborted) {
        const reason = DfError.from(run.signal.reason, 'cancelled');
        if (reason.code === 'cancelled') {
          // What its hosts fetch goes on: the original has no way to end it.
          return { state: 'cancelled', description: reason.message };
        }
        throw reason;
      }
      const description = DfError.from(error).message;
      return timeout.aborted ? { state: 'timed-out', description } : { state: 'failed', description };
    }
  }

  private carryOut(run: WorkRun): Promise<WorkEnd> {
    const { work } = run;
    switch (work.kind) {
      case 'preheat':
        return this.preheats.run(run, work);
      case 'get_task':
        return this.getTask(run, work);
      case 'delete_task':
        return this.deleteTask(run, work);
      case 'sync_peers':
        return this.syncPeers(run, work);
    }
  }

  private async getTask(run: WorkRun, work: TaskWork): Promise<WorkEnd> {
    await this.eachHolder(run, work, async (host, stat) => {
      run.onEvent({
        type: 'hosts',
        hosts: [
          {
            host,
            peerId: '',
            isFinished: stat.finishedAt !== undefined,
            createdAt: stat.createdAt,
            updatedAt: stat.updatedAt,
          },
        ],
      });
    });
    return { state: 'succeeded', description: '' };
  }

  private async deleteTask(run: WorkRun, work: TaskWork): Promise<WorkEnd> {
    let failed = 0;
    await this.eachHolder(run, work, async (host, _stat, client) => {
      let description: string | undefined;
      try {
        await unary(
          client.deleteTask.bind(client),
          { taskId: work.taskId },
          { deadlineMs: CALL_DEADLINE_MS, signal: run.signal },
        );
      } catch (error) {
        description = DfError.from(error).message;
        failed += 1;
      }
      run.onEvent({
        type: 'outcome',
        outcome: { ...outcomeOf({ url: '' } as commonV2.Download, host, description), taskId: work.taskId },
      });
    });
    return failed === 0
      ? { state: 'succeeded', description: '' }
      : { state: 'failed', description: `${failed} hosts did not delete the task` };
  }

  private async syncPeers(run: WorkRun, _work: SyncPeersWork): Promise<WorkEnd> {
    const hosts = await listHosts(this.clients, run);
    for (let from = 0; from < hosts.length; from += HOST_BATCH) {
      const batch = hosts.slice(from, from + HOST_BATCH);
      run.onEvent({
        type: 'hosts',
        hosts: batch.map((host) => ({
          host,
          peerId: '',
          isFinished: false,
          createdAt: undefined,
          updatedAt: undefined,
        })),
      });
    }
    return { state: 'succeeded', description: '' };
  }

  /** Every host that answers that it has the task, whole or in part. A host that is away has none. */
  private async eachHolder(
    run: WorkRun,
    work: TaskWork,
    visit: (
      host: commonV2.Host,
      stat: dfdaemonV2.StatLocalTaskResponse,
      client: dfdaemonV2.DfdaemonUploadClient,
    ) => Promise<void>,
  ): Promise<void> {
    const hosts = await listHosts(this.clients, run);
    await inParallel(hosts, work.concurrentPeerCount, async (host) => {
      const client = this.clients.daemon(host.ip, host.port);
      try {
        const stat = await unary(
          client.statLocalTask.bind(client),
          { taskId: work.taskId },
          { deadlineMs: CALL_DEADLINE_MS, signal: run.signal },
        ).catch(() => undefined);
        run.signal.throwIfAborted();
        if (stat) {
          await visit(host, stat, client);
        }
      } finally {
        client.close();
      }
    });
  }
}
