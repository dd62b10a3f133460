import { extNotify } from '@dragonfly/proto';
import { createGrpcClient, readStream } from '@dragonfly/rpc';
import { News } from '../src/notify/news.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

const { NotificationKind } = extNotify;

const running = new Set<RunningManager>();

afterEach(async () => {
  await Promise.all([...running].map(stop));
});
afterAll(stopEngines);

async function start(database: object): Promise<RunningManager> {
  const manager = await RunningManager.start(database);
  running.add(manager);
  return manager;
}

async function stop(manager: RunningManager): Promise<void> {
  if (running.delete(manager)) await manager.stop();
}

/** The news that one subscriber of one manager hears, from the moment it is connected. */
async function listenTo(manager: RunningManager, kind = 'peer') {
  const client = createGrpcClient(extNotify.NotifyServiceClient, `127.0.0.1:${manager.app.grpcPort}`);
  const stream = readStream(client.subscribe({ kind, hostname: 'h', ip: '127.0.0.1', clusterId: 0n }));
  const next = async (): Promise<extNotify.NotificationKind | undefined> => (await stream.next()).value?.kind;
  await expect(next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_CONNECTED);
  return {
    next,
    stop: async () => {
      await stream.return();
      client.close();
    },
  };
}

async function nameOfCluster(manager: RunningManager): Promise<unknown> {
  return ((await manager.request('GET', '/api/v1/scheduler-clusters/1')).body as { name: string }).name;
}

describe.each(engines)('news on $name', ({ freshDatabase }) => {
  it('tell subscribers of a change, each kind to those whom it concerns', async () => {
    const manager = await start(await freshDatabase());
    const peer = await listenTo(manager);
    const scheduler = await listenTo(manager, 'scheduler');
    await manager.signIn();
    const answer = await manager.request('PATCH', '/api/v1/scheduler-clusters/1', { bio: 'changed' });
    expect(answer.status).toBe(200);
    await expect(peer.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_CONFIG);
    await expect(scheduler.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_CONFIG);

    const news = manager.app.get(News);
    await news.publish('applications');
    await news.publish('object-storage');
    await news.publish('certificates');
    await expect(peer.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_OBJECT_STORAGE);
    await expect(scheduler.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_APPLICATIONS);
    await expect(scheduler.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_CERTIFICATES);
    await Promise.all([peer.stop(), scheduler.stop()]);
  });

  it('refuse a subscriber of an unknown kind, and end when the manager stops', async () => {
    const manager = await start(await freshDatabase());
    await expect(listenTo(manager, 'stranger')).rejects.toThrow(/SubscribeRequest\.kind: must be in/);
    const peer = await listenTo(manager);
    const over = peer.next();
    await Promise.all([stop(manager), expect(over).rejects.toMatchObject({ code: 'unavailable' })]);
    await peer.stop();
  });
});

const shared = engines.find(({ name }) => name !== 'SQLite');

(shared ? describe : describe.skip)('several managers on one database and one Redis', () => {
  let managers: RunningManager[] = [];

  beforeEach(async () => {
    const database = await shared?.freshDatabase();
    // Together: they migrate the empty database at the same time.
    managers = await Promise.all([1, 2, 3].map(() => start(database ?? {})));
    await Promise.all(managers.map((manager) => manager.signIn()));
  });

  it('show a change at every manager at once, in REST and to subscribers', async () => {
    const [first, second, third] = managers as [RunningManager, RunningManager, RunningManager];
    await Promise.all(managers.map(nameOfCluster));
    const peer = await listenTo(third);
    for (const name of ['blue', 'green', 'red']) {
      const answer = await first.request('PATCH', '/api/v1/scheduler-clusters/1', { name });
      expect(answer.status).toBe(200);
      await expect(Promise.all([nameOfCluster(second), nameOfCluster(third)])).resolves.toEqual([name, name]);
    }
    await expect(peer.next()).resolves.toBe(NotificationKind.NOTIFICATION_KIND_CONFIG);
    await peer.stop();
  });

  it('take a session that another one of them gave out', async () => {
    const [first, second] = managers as [RunningManager, RunningManager];
    const { body } = await first.signIn();
    const { token } = body as { token: string };
    second.signOut();
    const answer = await second.request('GET', '/api/v1/clusters', undefined, { authorization: `Bearer ${token}` });
    expect(answer.status).toBe(200);
  });
});
