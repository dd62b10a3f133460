import { dfdaemonV2, type commonV2 } from '@dragonfly/proto';
import { type ClientTls, createGrpcClient, hostPort, readStream, unary } from '@dragonfly/rpc';
import type { Host } from '@dragonfly/scheduling';

/** Time for a question that a daemon answers from memory. */
const STAT_DEADLINE_MS = 10_000;
/** Time for the removal of a large content. */
const DELETE_DEADLINE_MS = 60_000;
/** Time for the listing of a directory at an origin. */
const LIST_DEADLINE_MS = 60_000;

/** News of a download on a daemon. */
export interface DownloadListener {
  /** @param storedBytes what the daemon had already */
  started(contentLengthBytes: number, storedBytes: number): void;
  pieceFinished(lengthBytes: number): void;
}

/** The daemons of this cluster, as jobs use them. */
export abstract class Daemons {
  /**
   * Lets the daemon fetch a task, and waits for it.
   * @returns the task id, empty when the daemon has not told it
   * @throws DfError
   */
  abstract download(
    host: Host,
    download: commonV2.Download,
    listener: DownloadListener,
    signal: AbortSignal,
  ): Promise<string>;
  /**
   * What the daemon holds of several tasks, over one connection.
   * @param answer told for each id in order: what is held, or a DfError, `not-found` among others
   */
  abstract stat(
    host: Host,
    taskIds: readonly string[],
    signal: AbortSignal,
    answer: (taskId: string, result: dfdaemonV2.StatLocalTaskResponse | Error) => void,
  ): Promise<void>;
  /** @throws DfError `not-found` among others */
  abstract delete(host: Host, taskId: string, signal: AbortSignal): Promise<void>;
  /** @throws DfError */
  abstract list(
    host: Host,
    request: Omit<dfdaemonV2.ListTaskEntriesRequest, 'remoteIp'>,
    signal: AbortSignal,
  ): Promise<readonly dfdaemonV2.Entry[]>;
}

export interface GrpcDaemonsOptions {
  /** Address of this scheduler, told to the daemons. */
  readonly remoteIp: string;
  readonly seedTls: ClientTls | undefined;
  readonly peerTls: ClientTls | undefined;
  /** A download without any news for this long has failed. */
  readonly stallTimeoutMs: number;
}

/** Over `dfdaemon.v2.DfdaemonUpload` at the address that the host announced. */
export class GrpcDaemons extends Daemons {
  constructor(private readonly options: GrpcDaemonsOptions) {
    super();
  }

  override async download(
    host: Host,
    download: commonV2.Download,
    listener: DownloadListener,
    signal: AbortSignal,
  ): Promise<string> {
    const { remoteIp, stallTimeoutMs } = this.options;
    return this.#with(host, async (client) => {
      const call = client.downloadTask({ download: { ...download, remoteIp } });
      let taskId = '';
      for await (const { response, ...ids } of readStream(call, { signal, idleTimeoutMs: stallTimeoutMs })) {
        taskId ||= ids.taskId;
        if (response?.$case === 'downloadTaskStartedResponse') {
          const { contentLength, pieces, isFinished } = response.value;
          const storedBytes = pieces.reduce((sum, piece) => sum + Number(piece.length), 0);
          const contentLengthBytes = knownLength(contentLength);
          listener.started(contentLengthBytes, isFinished ? contentLengthBytes : storedBytes);
        } else if (response?.$case === 'downloadPieceFinishedResponse') {
          listener.pieceFinished(Number(response.value.piece?.length ?? 0n));
        }
      }
      return taskId;
    });
  }

  override async stat(
    host: Host,
    taskIds: readonly string[],
    signal: AbortSignal,
    answer: (taskId: string, result: dfdaemonV2.StatLocalTaskResponse | Error) => void,
  ): Promise<void> {
    const { remoteIp } = this.options;
    await this.#with(host, async (client) => {
      for (const taskId of taskIds) {
        const question = unary(
          client.statLocalTask.bind(client),
          { taskId, remoteIp },
          { deadlineMs: STAT_DEADLINE_MS, signal },
        );
        const result = await question.catch((error: Error) => error);
        answer(taskId, result);
        // A host that does not answer once will not answer for the other tasks either.
        if (isSilence(result)) {
          for (const other of taskIds.slice(taskIds.indexOf(taskId) + 1)) answer(other, result);
          return;
        }
      }
    });
  }

  override async delete(host: Host, taskId: string, signal: AbortSignal): Promise<void> {
    const { remoteIp } = this.options;
    await this.#with(host, (client) =>
      unary(client.deleteTask.bind(client), { taskId, remoteIp }, { deadlineMs: DELETE_DEADLINE_MS, signal }),
    );
  }

  override async list(
    host: Host,
    request: Omit<dfdaemonV2.ListTaskEntriesRequest, 'remoteIp'>,
    signal: AbortSignal,
  ): Promise<readonly dfdaemonV2.Entry[]> {
    const { remoteIp } = this.options;
    const { entries } = await this.#with(host, (client) =>
      unary(client.listTaskEntries.bind(client), { ...request, remoteIp }, { deadlineMs: LIST_DEADLINE_MS, signal }),
    );
    return entries;
  }

  async #with<Result>(host: Host, use: (client: dfdaemonV2.DfdaemonUploadClient) => Promise<Result>): Promise<Result> {
    const { ip, port, isSeed } = host.facts;
    const tls = isSeed ? this.options.seedTls : this.options.peerTls;
    const client = createGrpcClient(
      dfdaemonV2.DfdaemonUploadClient,
      hostPort(ip, port),
      tls === undefined ? {} : { tls },
    );
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }
}

function isSilence(result: dfdaemonV2.StatLocalTaskResponse | Error): boolean {
  return (
    Error.isError(result) && 'code' in result && (result.code === 'unavailable' || result.code === 'deadline-exceeded')
  );
}

/** 0 stands for a length that nobody knows, which is 2^64 - 1 on the wire. */
function knownLength(contentLength: bigint): number {
  return contentLength > BigInt(Number.MAX_SAFE_INTEGER) ? 0 : Number(contentLength);
}
