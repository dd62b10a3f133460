import { type ClientTls, createGrpcClient, hostPort, readStream, unary } from '@dragonfly/rpc';
import { type commonV2, dfdaemonV2 } from '@dragonfly/proto';
import type { DurableTask } from './durable-records.js';

/** Longest wait for a daemon's answer to a small question. */
const CALL_DEADLINE_MS = 10_000;
/** A daemon that fetches a replica and says nothing for so long has given up. */
const DOWNLOAD_IDLE_MS = 6 * 60_000;

/** What the scheduler asks of the daemons that keep replicas. Every method rejects with DfError. */
export interface ReplicaGateway {
  /** Makes the host fetch the content and keep it. Resolves when it has. */
  download(host: commonV2.Host, task: DurableTask, signal: AbortSignal): Promise<void>;
  /** Makes the host keep the copy that it has. */
  makePersistent(host: commonV2.Host, taskId: string, signal: AbortSignal): Promise<void>;
  /** Makes the host delete its copy. */
  delete(host: commonV2.Host, taskId: string, signal: AbortSignal): Promise<void>;
}

export interface GrpcReplicaGatewayOptions {
  readonly hasSource: boolean;
  readonly tls: ClientTls | undefined;
  /** Address of this scheduler, told to the daemons for their logs. */
  readonly remoteIp: string;
}

/** The same by dfdaemon.v2.DfdaemonUpload, at the port where daemons serve others. */
export class GrpcReplicaGateway implements ReplicaGateway {
  constructor(private readonly options: GrpcReplicaGatewayOptions) {}

  download(host: commonV2.Host, task: DurableTask, signal: AbortSignal): Promise<void> {
    const { remoteIp, hasSource } = this.options;
    return this.#with(host, async (client) => {
      const common = { persistent: true, needPieceContent: false, remoteIp };
      const call = hasSource
        ? client.downloadPersistentTask(
            dfdaemonV2.DownloadPersistentTaskRequest.fromPartial({
              ...common,
              url: task.url,
              objectStorage: { region: task.region || undefined, endpoint: task.endpoint || undefined },
            }),
          )
        : client.downloadPersistentCacheTask(
            dfdaemonV2.DownloadPersistentCacheTaskRequest.fromPartial({
              ...common,
              taskId: task.id,
              tag: task.tag || undefined,
              application: task.application || undefined,
            }),
          );
      for await (const _message of readStream<unknown>(call, { signal, idleTimeoutMs: DOWNLOAD_IDLE_MS }));
    });
  }

  makePersistent(host: commonV2.Host, taskId: string, signal: AbortSignal): Promise<void> {
    const { remoteIp, hasSource } = this.options;
    return this.#with(host, async (client) => {
      await unary<dfdaemonV2.UpdatePersistentTaskRequest, object>(
        hasSource ? client.updatePersistentTask.bind(client) : client.updatePersistentCacheTask.bind(client),
        { taskId, persistent: true, remoteIp },
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
    });
  }

  delete(host: commonV2.Host, taskId: string, signal: AbortSignal): Promise<void> {
    const { remoteIp, hasSource } = this.options;
    return this.#with(host, async (client) => {
      await unary<dfdaemonV2.DeletePersistentTaskRequest, object>(
        hasSource ? client.deletePersistentTask.bind(client) : client.deletePersistentCacheTask.bind(client),
        { taskId, remoteIp },
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
    });
  }

  async #with(host: commonV2.Host, run: (client: dfdaemonV2.DfdaemonUploadClient) => Promise<void>): Promise<void> {
    const { tls } = this.options;
    const client = createGrpcClient(
      dfdaemonV2.DfdaemonUploadClient,
      hostPort(host.ip, host.downloadPort),
      tls === undefined ? {} : { tls },
    );
    try {
      await run(client);
    } finally {
      client.close();
    }
  }
}
