import { type commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { GrpcServer, handleServerStream, type ServerStream } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

/** One DownloadTask call that a fake seed has received. */
export interface SeedCall {
  readonly download: commonV2.Download;
  readonly stream: ServerStream<dfdaemonV2.DownloadTaskResponse>;
  /** Ends the call: with OK, or with an error that the caller sees. */
  readonly end: (error?: Error) => void;
}

/** A seed's gRPC service: health and DownloadTask, which waits for what the test wants. */
export class FakeSeed implements AsyncDisposable {
  readonly #calls: SeedCall[] = [];
  readonly #waiting: ((call: SeedCall) => void)[] = [];
  #server: GrpcServer | undefined;

  static async start(port = 0): Promise<FakeSeed> {
    const seed = new FakeSeed();
    const log = silentLogger();
    seed.#server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: [
        {
          service: dfdaemonV2.DfdaemonUploadService,
          implementation: {
            downloadTask: handleServerStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>(
              (request, stream) =>
                new Promise<void>((resolve, reject) => {
                  if (request.download === undefined) throw new Error('no download');
                  seed.#arrived({
                    download: request.download,
                    stream,
                    end: (error) => {
                      if (error === undefined) resolve();
                      else reject(error);
                    },
                  });
                }),
              log,
            ),
          },
        },
      ],
    });
    return seed;
  }

  get port(): number {
    return this.#server?.ports[0] ?? 0;
  }

  /** Calls so far, taken ones included. */
  count = 0;

  /** The next call, now or when it comes. */
  async nextCall(): Promise<SeedCall> {
    const call = this.#calls.shift();
    if (call !== undefined) return call;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  setServing(isServing: boolean): void {
    this.#server?.setServing(isServing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(0);
  }

  #arrived(call: SeedCall): void {
    this.count += 1;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#calls.push(call);
    else waiting(call);
  }
}
