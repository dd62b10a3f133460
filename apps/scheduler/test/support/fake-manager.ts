import type { ServerReadableStream } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { managerV2 } from '@dragonfly/proto';
import { GrpcServer, handleUnary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

/** A manager that knows one scheduler, and forgets it when told to. */
export class FakeManager implements AsyncDisposable {
  readonly registrations: managerV2.UpdateSchedulerRequest[] = [];
  readonly keepAlives: managerV2.KeepAliveRequest[] = [];
  openStreams = 0;
  endedStreams = 0;
  state = 'active';
  clusterConfig: object = { candidate_parent_limit: 4, filter_parent_limit: 40, job_rate_limit: 10 };
  applications: managerV2.Application[] = [];
  #isKnown = false;
  #server: GrpcServer | undefined;
  readonly #streams = new Set<ServerReadableStream<managerV2.KeepAliveRequest, object>>();

  static async start(port = 0): Promise<FakeManager> {
    const manager = new FakeManager();
    const log = silentLogger();
    manager.#server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: [
        {
          service: managerV2.ManagerService,
          implementation: {
            updateScheduler: handleUnary<managerV2.UpdateSchedulerRequest, managerV2.Scheduler>(
              (request) => manager.#register(request),
              log,
            ),
            getScheduler: handleUnary<managerV2.GetSchedulerRequest, managerV2.Scheduler>(() => manager.#get(), log),
            listApplications: handleUnary<managerV2.ListApplicationsRequest, managerV2.ListApplicationsResponse>(
              () => manager.#listApplications(),
              log,
            ),
            keepAlive: (
              call: ServerReadableStream<managerV2.KeepAliveRequest, object>,
              callback: (error: object | null, response?: object) => void,
            ) => {
              manager.#keepAlive(call, callback);
            },
          },
        },
      ],
    });
    return manager;
  }

  get port(): number {
    return this.#server?.ports[0] ?? 0;
  }

  /** As if somebody had cleaned the table. */
  forget(): void {
    this.#isKnown = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(0);
  }

  async #register(request: managerV2.UpdateSchedulerRequest): Promise<Partial<managerV2.Scheduler>> {
    this.registrations.push(request);
    this.#isKnown = true;
    return Promise.resolve({ id: 1n });
  }

  async #get(): Promise<Partial<managerV2.Scheduler>> {
    if (!this.#isKnown) throw new DfError('internal', 'record not found');
    return Promise.resolve({
      id: 1n,
      state: this.state,
      schedulerCluster: managerV2.SchedulerCluster.fromPartial({
        id: 1n,
        config: Buffer.from(JSON.stringify(this.clusterConfig)),
        clientConfig: Buffer.from('{"load_limit": 77}'),
      }),
      seedPeers: [
        managerV2.SeedPeer.fromPartial({ seedPeerCluster: { id: 1n, config: Buffer.from('{"load_limit": 777}') } }),
      ],
    });
  }

  async #listApplications(): Promise<managerV2.ListApplicationsResponse> {
    if (this.applications.length === 0) throw new DfError('not-found', 'application not found');
    return Promise.resolve({ applications: this.applications });
  }

  #keepAlive(
    call: ServerReadableStream<managerV2.KeepAliveRequest, object>,
    callback: (error: object | null, response?: object) => void,
  ): void {
    this.openStreams += 1;
    this.#streams.add(call);
    call.on('data', (message: managerV2.KeepAliveRequest) => {
      this.keepAlives.push(message);
      if (!this.#isKnown) callback({ code: 13, details: 'record not found' });
    });
    call.on('end', () => {
      this.endedStreams += 1;
      this.#streams.delete(call);
      callback(null, {});
    });
    call.on('error', () => this.#streams.delete(call));
  }
}
