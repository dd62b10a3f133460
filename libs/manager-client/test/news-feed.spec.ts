import { extNotify } from '@dragonfly/proto';
import { createGrpcClient, GrpcServer, handleServerStream, type ServerStream } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { waitFor } from '@dragonfly/testkit';
import { type News, NewsFeed, type NewsFeedOptions } from '../src/index.js';

const { NotificationKind } = extNotify;
const log = silentLogger();

/** A manager of which only the news exist. */
class NewsServer {
  readonly streams = new Set<ServerStream<extNotify.Notification>>();
  subscribers: extNotify.SubscribeRequest[] = [];

  private constructor(private server: GrpcServer) {}

  static async start(port = 0, isSupported = true): Promise<NewsServer> {
    const streams = new Set<ServerStream<extNotify.Notification>>();
    const subscribers: extNotify.SubscribeRequest[] = [];
    const subscribe = handleServerStream<extNotify.SubscribeRequest, extNotify.Notification>(
      async (request, stream) => {
        subscribers.push(request);
        streams.add(stream);
        stream.send({ kind: NotificationKind.NOTIFICATION_KIND_CONNECTED });
        await new Promise<void>((resolve) => stream.onCancel(resolve));
        streams.delete(stream);
      },
      log,
    );
    const server = await GrpcServer.start({
      addresses: [`127.0.0.1:${port}`],
      log,
      services: isSupported ? [{ service: extNotify.NotifyServiceService, implementation: { subscribe } }] : [],
    });
    const made = new NewsServer(server);
    Object.assign(made, { streams, subscribers });
    return made;
  }

  get port(): number {
    return this.server.ports[0] ?? 0;
  }

  tell(kind: extNotify.NotificationKind): void {
    for (const stream of this.streams) stream.send({ kind });
  }

  async stop(): Promise<void> {
    await this.server.stop(0);
  }
}

function feedOf(port: number, sleep?: NewsFeedOptions['sleep']): { heard: Set<News>[]; stop: () => Promise<void> } {
  const client = createGrpcClient(extNotify.NotifyServiceClient, `127.0.0.1:${port}`);
  const heard: Set<News>[] = [];
  const feed = NewsFeed.start({
    client,
    subscriber: { kind: 'scheduler', hostname: 'h', ip: '127.0.0.1', clusterId: 1n },
    onNews: (news) => heard.push(new Set(news)),
    log,
    spreadMs: 1,
    sleep,
  });
  return {
    heard,
    stop: async () => {
      await feed.stop();
      client.close();
    },
  };
}

describe('the news of a manager', () => {
  it('are passed on by kind, and what this version does not know is left out', async () => {
    const server = await NewsServer.start();
    const feed = feedOf(server.port);
    await waitFor(() => server.streams.size === 1, { what: 'a subscription' });
    server.tell(99 as extNotify.NotificationKind);
    server.tell(NotificationKind.NOTIFICATION_KIND_APPLICATIONS);
    await waitFor(() => feed.heard.length > 0, { what: 'news' });
    expect(feed.heard).toEqual([new Set(['applications'])]);
    expect(server.subscribers).toMatchObject([{ kind: 'scheduler', hostname: 'h', clusterId: 1n }]);
    await feed.stop();
    await server.stop();
  });

  it('count as all changed after a lost connection, for what happened meanwhile is not told again', async () => {
    const first = await NewsServer.start();
    const feed = feedOf(first.port);
    await waitFor(() => first.streams.size === 1, { what: 'a subscription' });
    expect(feed.heard).toEqual([]);
    await first.stop();
    const second = await NewsServer.start(first.port);
    await waitFor(() => feed.heard.length > 0, { what: 'news' });
    expect([...feed.heard.flatMap((news) => [...news])].sort()).toEqual([
      'applications',
      'certificates',
      'config',
      'object-storage',
    ]);
    await feed.stop();
    await second.stop();
  });

  it('are asked for rarely where the manager has none', async () => {
    const server = await NewsServer.start(0, false);
    const pauses: number[] = [];
    const asked = Promise.withResolvers<void>();
    const feed = feedOf(server.port, async (ms, signal) => {
      pauses.push(ms);
      asked.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    await asked.promise;
    expect(pauses).toEqual([600_000]);
    await feed.stop();
    expect(feed.heard).toEqual([]);
    await server.stop();
  });
});
