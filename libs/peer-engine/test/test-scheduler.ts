import { commonV2, extPush, extSource, type DeepPartial, schedulerV2 } from '@dragonfly/proto';
import {
  GrpcServer,
  handleBidi,
  handleServerStream,
  handleUnary,
  type ServerStream,
  type StreamCall,
} from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';

export type Report = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;
export type Answer = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;

/** What each kind of report carries. */
type ReportValues = { [Kind in Report as Kind['$case']]: Kind['value'] };

/** One AnnouncePeer stream as the scheduler saw it. */
export interface SeenPeer {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
  readonly reports: Report[];
  /** How the stream ended; undefined while it is open. */
  end: 'finished' | 'failed' | 'cancelled' | undefined;
}

/** Sends an answer on a HoldSource stream. */
export type Tell = (grant: DeepPartial<extSource.SourceGrant>) => void;

/** Decides what a registration or a reschedule is answered with; 'silence' answers nothing. */
export type Policy = (peer: SeenPeer, scheduler: TestScheduler) => Answer | 'silence';

const FINAL_REPORTS: Partial<Record<Report['$case'], 'finished' | 'failed'>> = {
  downloadPeerFinishedRequest: 'finished',
  downloadPeerBackToSourceFinishedRequest: 'finished',
  downloadPeerFailedRequest: 'failed',
  downloadPeerBackToSourceFailedRequest: 'failed',
};

export function backToSource(): Answer {
  return { $case: 'needBackToSourceResponse', value: {} };
}

/**
 * The smallest scheduler that a daemon can work with: keeps hosts, answers registrations by a policy, remembers
 * everything that it was told. It closes a stream after the last report, as real ones do.
 */
export class TestScheduler {
  readonly hosts = new Map<string, commonV2.Host>();
  readonly peers: SeenPeer[] = [];
  readonly deletedTasks: string[] = [];
  /** First requests of HoldSource streams. */
  readonly holds: extSource.HoldSourceRequest[] = [];
  /** Decides on a HoldSource stream; further answers may be sent later. Absent: a scheduler of the plain protocol. */
  holdPolicy: ((request: extSource.HoldSourceRequest, tell: Tell) => void) | undefined;
  /** Streams of news by host; kept where `holdPolicy` is there when it begins to serve. */
  readonly listeners = new Map<string, ServerStream<extPush.Push>>();
  private server: GrpcServer | undefined;

  /** @default the first peer of a task goes to the source, the others get all earlier ones as parents */
  policy: Policy = (peer) => {
    const parents = this.parentsFor(peer);
    return parents.length === 0
      ? backToSource()
      : { $case: 'normalTaskResponse', value: { candidateParents: parents } };
  };

  static async start(port = 0, holdPolicy?: TestScheduler['holdPolicy']): Promise<TestScheduler> {
    const scheduler = new TestScheduler();
    scheduler.holdPolicy = holdPolicy;
    await scheduler.serve(port);
    return scheduler;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.server?.ports[0] ?? 0;
  }

  /** Serves again after `stop`, without memory if so wished. */
  async serve(port: number): Promise<void> {
    const log = silentLogger();
    this.server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: [
        ...(this.holdPolicy === undefined ? [] : this.extensions()),
        {
          service: schedulerV2.SchedulerService,
          implementation: {
            announcePeer: handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((stream) => {
              this.listen(stream);
            }, log),
            announceHost: handleUnary<schedulerV2.AnnounceHostRequest, object>(async ({ host }) => {
              if (host !== undefined) this.hosts.set(host.id, host);
              return {};
            }, log),
            deleteHost: handleUnary<schedulerV2.DeleteHostRequest, object>(async ({ hostId }) => {
              this.hosts.delete(hostId);
              return {};
            }, log),
            listHosts: handleUnary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
              async ({ type }) => ({
                hosts: [...this.hosts.values()].filter((host) => type === undefined || host.type === type),
              }),
              log,
            ),
            deleteTask: handleUnary<schedulerV2.DeleteTaskRequest, object>(async ({ taskId }) => {
              this.deletedTasks.push(taskId);
              return {};
            }, log),
          },
        },
      ],
    });
  }

  async stop(): Promise<void> {
    await this.server?.stop(0);
  }

  /** Reports of one kind that a host made, in order. */
  reportsOf<Case extends keyof ReportValues>(hostId: string, kind: Case): ReportValues[Case][] {
    return this.peers
      .filter((peer) => peer.hostId === hostId)
      .flatMap((peer) => peer.reports)
      .filter((report) => report.$case === kind)
      .map((report) => report.value as ReportValues[Case]);
  }

  /** A parent as candidate lists carry it. */
  candidate(peer: SeenPeer): commonV2.Peer {
    const now = new Date();
    return commonV2.Peer.fromPartial({
      id: peer.peerId,
      state: 'Running',
      host: this.hosts.get(peer.hostId) ?? {},
      task: { id: peer.taskId, url: 'http://origin/', state: 'Running', createdAt: now, updatedAt: now },
      cost: {},
      createdAt: now,
      updatedAt: now,
    });
  }

  /** Peers of the same task on other hosts that have not failed, latest first, one a host. */
  parentsFor(peer: SeenPeer): commonV2.Peer[] {
    const byHost = new Map<string, SeenPeer>();
    const blocked = new Set(
      peer.reports.flatMap((report) =>
        report.$case === 'reschedulePeerRequest' ? report.value.candidateParents.map(({ id }) => id) : [],
      ),
    );
    for (const other of this.peers) {
      const isParent =
        other.taskId === peer.taskId &&
        other.hostId !== peer.hostId &&
        !blocked.has(other.peerId) &&
        other.end !== 'failed' &&
        other.end !== 'cancelled' &&
        this.hosts.has(other.hostId);
      if (isParent) byHost.set(other.hostId, other);
    }
    return [...byHost.values()].reverse().map((other) => this.candidate(other));
  }

  private extensions(): Parameters<typeof GrpcServer.start>[0]['services'] {
    const log = silentLogger();
    return [
      {
        service: extSource.SourceServiceService,
        implementation: {
          holdSource: handleBidi<extSource.HoldSourceRequest, extSource.SourceGrant>((stream) => {
            this.hold(stream);
          }, log),
        },
      },
      {
        service: extPush.PushServiceService,
        implementation: {
          subscribe: handleServerStream<extPush.PushSubscribeRequest, extPush.Push>(async ({ hostId }, stream) => {
            this.listeners.set(hostId, stream);
            await new Promise<void>((resolve) => {
              stream.onCancel(resolve);
            });
          }, log),
        },
      },
    ];
  }

  private hold(stream: StreamCall<extSource.HoldSourceRequest, extSource.SourceGrant>): void {
    let isFirst = true;
    stream.onEnd(() => {
      stream.end();
    });
    stream.onMessage((request) => {
      if (!isFirst) return;
      isFirst = false;
      this.holds.push(request);
      this.holdPolicy?.(request, (grant) => {
        stream.send(grant);
        if (grant.granted === false) stream.end();
      });
    });
  }

  private listen(stream: StreamCall<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>): void {
    let peer: SeenPeer | undefined;
    stream.onCancel(() => {
      if (peer !== undefined) peer.end ??= 'cancelled';
    });
    stream.onEnd(() => {
      stream.end();
    });
    stream.onMessage((message) => {
      const { request } = message;
      if (request === undefined) return;
      if (peer === undefined) {
        if (!this.hosts.has(message.hostId)) {
          stream.fail(5, `host ${message.hostId} not found`);
          return;
        }
        peer = { ...message, reports: [], end: undefined };
        this.peers.push(peer);
      }
      peer.reports.push(request);
      const end = FINAL_REPORTS[request.$case];
      if (end !== undefined) {
        peer.end = end;
        stream.end();
        return;
      }
      if (request.$case !== 'registerPeerRequest' && request.$case !== 'reschedulePeerRequest') return;
      const isMetadataOnly = request.$case === 'registerPeerRequest' && request.value.download?.metadataOnly === true;
      const answer: Answer | 'silence' = isMetadataOnly
        ? { $case: 'metadataOnlyResponse', value: {} }
        : this.policy(peer, this);
      if (answer !== 'silence') stream.send({ response: answer });
    });
  }
}
