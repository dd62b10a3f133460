import { DfError } from '@dragonfly/errors';
import { dfdaemonV2 } from '@dragonfly/proto';
import { GrpcServer, handleServerStream, handleUnary, type ServerStream } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

/** A call that a fake daemon has received about a replica. */
export interface ReplicaCall {
  readonly method: 'download' | 'update' | 'delete';
  readonly taskId: string;
  readonly request: object;
}

/** A daemon that is asked to fetch, keep and delete replicas, of both kinds. */
export class ReplicaDaemon implements AsyncDisposable {
  readonly calls: ReplicaCall[] = [];
  /** What a download does before it ends; a rejection is what the caller sees. */
  onDownload: (taskId: string) => Promise<void> = () => Promise.resolve();
  #server: GrpcServer | undefined;

  static async start(port = 0): Promise<ReplicaDaemon> {
    const made = new ReplicaDaemon();
    const log = silentLogger();
    const download = handleServerStream<{ taskId?: string; url?: string }, object>(
      (request, stream: ServerStream<object>) => made.#download(request, stream),
      log,
    );
    const update = handleUnary<{ taskId: string }, object>((request) => made.#called('update', request), log);
    const remove = handleUnary<{ taskId: string }, object>((request) => made.#called('delete', request), log);
    made.#server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: [
        {
          service: dfdaemonV2.DfdaemonUploadService,
          implementation: {
            downloadPersistentTask: download,
            downloadPersistentCacheTask: download,
            updatePersistentTask: update,
            updatePersistentCacheTask: update,
            deletePersistentTask: remove,
            deletePersistentCacheTask: remove,
          },
        },
      ],
    });
    return made;
  }

  get port(): number {
    return this.#server?.ports[0] ?? 0;
  }

  called(method: ReplicaCall['method']): ReplicaCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(0);
  }

  async #download(request: { taskId?: string; url?: string }, stream: ServerStream<object>): Promise<void> {
    const taskId = request.taskId ?? request.url?.replace('s3://bucket/', '') ?? '';
    this.calls.push({ method: 'download', taskId, request });
    if (stream.isOver) throw new DfError('cancelled', 'gone');
    await this.onDownload(taskId);
  }

  #called(method: 'update' | 'delete', request: { taskId: string }): Promise<object> {
    this.calls.push({ method, taskId: request.taskId, request });
    return Promise.resolve({});
  }
}
