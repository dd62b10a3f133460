import { DfError } from '@dragonfly/errors';
import { commonV2, dfdaemonV2, extJobs, extRecords, schedulerV2, type DeepPartial } from '@dragonfly/proto';
import { GrpcServer, handleServerStream, handleUnary, type ServerStream } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

type Tell = ServerStream<extJobs.JobEvent>;

/** A scheduler of ours, as far as jobs and records go: what it was asked for, and what the test lets it tell. */
export class FakeScheduler {
  readonly runs: extJobs.RunJobRequest[] = [];
  readonly cancelled: string[] = [];
  readonly summaries: extRecords.SummarizeDownloadsRequest[] = [];
  hosts: DeepPartial<commonV2.Host>[] = [];
  answerSummaries: (request: extRecords.SummarizeDownloadsRequest) => DeepPartial<extRecords.DownloadSummary>[] =
    () => [];
  /** How a job goes; by default each download succeeds at once. */
  play: (request: extJobs.RunJobRequest, stream: Tell) => Promise<void> = async (request, stream) => {
    succeed(request, stream, this.hosts);
  };
  private server: GrpcServer | undefined;

  static async start(): Promise<FakeScheduler> {
    const fake = new FakeScheduler();
    const log = silentLogger();
    fake.server = await GrpcServer.start({
      addresses: ['127.0.0.1:0'],
      log,
      services: [
        {
          service: extJobs.JobServiceService,
          implementation: {
            runJob: handleServerStream<extJobs.RunJobRequest, extJobs.JobEvent>(async (request, stream) => {
              fake.runs.push(request);
              await fake.play(request, stream);
            }, log),
            cancelJob: handleUnary<extJobs.CancelJobRequest, extJobs.CancelJobResponse>(async ({ jobId }) => {
              fake.cancelled.push(jobId);
              return {};
            }, log),
          },
        },
        {
          service: extRecords.RecordServiceService,
          implementation: {
            summarizeDownloads: handleUnary<
              extRecords.SummarizeDownloadsRequest,
              extRecords.SummarizeDownloadsResponse
            >(async (request) => {
              fake.summaries.push(request);
              return { summaries: fake.answerSummaries(request) };
            }, log),
          },
        },
      ],
    });
    return fake;
  }

  get port(): number {
    return this.server?.ports[0] ?? 0;
  }

  /** Between two tests: forgets what it has run, and jobs succeed again. */
  forget(): void {
    this.runs.length = 0;
    this.play = async (request, stream) => succeed(request, stream);
  }

  async stop(): Promise<void> {
    await this.server?.stop(0);
  }
}

/** One seed peer holds everything. */
export function succeed(request: extJobs.RunJobRequest, stream: Tell, hosts: DeepPartial<commonV2.Host>[] = []): void {
  const { jobId, job } = request;
  const tell = (event: DeepPartial<extJobs.JobEvent>['event']): void => {
    stream.send({ jobId, at: new Date(), event });
  };
  const downloads = job?.$case === 'preheat' ? job.value.downloads : [];
  downloads.forEach(({ url }, index) => {
    tell({
      $case: 'taskOutcome',
      value: {
        taskId: `task-${index}`,
        url,
        hostId: '10.0.0.9-seed-1',
        hostname: 'seed',
        ip: '10.0.0.9',
        hostType: 1,
        succeeded: true,
        contentLength: 7n,
      },
    });
  });
  if (job?.$case === 'syncPeers' || job?.$case === 'getTask') {
    tell({ $case: 'hosts', value: { hosts: hosts.map((host) => ({ host, peerId: 'peer', isFinished: true })) } });
  }
  const total = downloads.length;
  tell({
    $case: 'finished',
    value: {
      state: extJobs.JobState.JOB_STATE_SUCCEEDED,
      progress: { total, succeeded: total, completedBytes: BigInt(7 * total), totalBytes: BigInt(7 * total) },
    },
  });
}

/**
 * A scheduler of the original with its hosts: preheats go on in the background, who holds what can be asked. Its
 * PreheatFile forgets the tag.
 */
export class FakeOriginalScheduler {
  readonly preheats: schedulerV2.PreheatFileRequest[] = [];
  readonly images: schedulerV2.PreheatImageRequest[] = [];
  readonly downloads: commonV2.Download[] = [];
  /** Tasks by URL (of preheats) or id (of downloads) on the one host. */
  readonly held = new Set<string>();
  /** Layers that an image consists of. */
  layers: string[] = [];
  /** Questions after which background work counts as done. */
  questionsUntilDone = 1;
  private servers: GrpcServer[] = [];
  private host: DeepPartial<commonV2.Host> = {};

  static async start(): Promise<FakeOriginalScheduler> {
    const fake = new FakeOriginalScheduler();
    const log = silentLogger();
    const daemon = await GrpcServer.start({
      addresses: ['127.0.0.1:0'],
      log,
      services: [
        {
          service: dfdaemonV2.DfdaemonUploadService,
          implementation: {
            downloadTask: handleServerStream<dfdaemonV2.DownloadTaskRequest, dfdaemonV2.DownloadTaskResponse>(
              async ({ download }, stream) => {
                if (download) {
                  fake.downloads.push(download);
                }
                stream.send({ taskId: 't' });
              },
              log,
            ),
            statLocalTask: handleUnary<dfdaemonV2.StatLocalTaskRequest, dfdaemonV2.StatLocalTaskResponse>(
              async ({ taskId }) => {
                if (!fake.held.has(taskId)) {
                  throw new DfError('not-found', 'no such task');
                }
                return { taskId, createdAt: new Date(0), updatedAt: new Date(0), finishedAt: new Date(0) };
              },
              log,
            ),
            deleteTask: handleUnary<dfdaemonV2.DeleteTaskRequest, object>(async ({ taskId }) => {
              fake.held.delete(taskId);
              return {};
            }, log),
          },
        },
      ],
    });
    fake.host = {
      id: '127.0.0.1-go-seed-seed',
      hostname: 'go-seed',
      ip: '127.0.0.1',
      port: daemon.ports[0] ?? 0,
      downloadPort: daemon.ports[0] ?? 0,
      type: 1,
      schedulerClusterId: 1n,
    };
    let questions = 0;
    const isDone = (): boolean => (questions += 1) > fake.questionsUntilDone;
    const scheduler = await GrpcServer.start({
      addresses: ['127.0.0.1:0'],
      log,
      services: [
        {
          service: schedulerV2.SchedulerService,
          implementation: {
            listHosts: handleUnary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
              async () => ({ hosts: [fake.host] }),
              log,
            ),
            preheatFile: handleUnary<schedulerV2.PreheatFileRequest, object>(async (request) => {
              fake.preheats.push(request);
              return {};
            }, log),
            preheatImage: handleUnary<schedulerV2.PreheatImageRequest, object>(async (request) => {
              fake.images.push(request);
              return {};
            }, log),
            statFile: handleUnary<schedulerV2.StatFileRequest, schedulerV2.StatFileResponse>(
              async ({ url }) => ({
                peers: isDone()
                  ? [{ ip: '127.0.0.1', hostname: 'go-seed', cachedFiles: [{ url, isFinished: true }] }]
                  : [],
              }),
              log,
            ),
            statImage: handleUnary<schedulerV2.StatImageRequest, schedulerV2.StatImageResponse>(
              async () => ({
                peers: [
                  {
                    ip: '127.0.0.1',
                    hostname: 'go-seed',
                    cachedLayers: fake.layers.map((url) => ({ url, isFinished: isDone() })),
                  },
                ],
              }),
              log,
            ),
          },
        },
      ],
    });
    fake.servers = [scheduler, daemon];
    return fake;
  }

  get port(): number {
    return this.servers[0]?.ports[0] ?? 0;
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop(0)));
  }
}
