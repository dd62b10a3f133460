import { managerV2 } from '@dragonfly/proto';
import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { FakeManager } from './support/fake-manager.js';
import { TestCluster } from './support/test-cluster.js';

const FAST = { DYN_CONFIG__REFRESH_INTERVAL: '50ms', MANAGER__KEEP_ALIVE__INTERVAL: '20ms' };

async function startUnder(port: number, changes: Record<string, string> = {}): Promise<TestCluster> {
  return TestCluster.start({ changes: { MANAGER__ADDR: `127.0.0.1:${port}`, ...FAST, ...changes } });
}

it('registers by cluster id, keeps alive, and takes the limits of its cluster (seed 001-5)', async () => {
  await using manager = await FakeManager.start();
  await using cluster = await startUnder(manager.port, { MANAGER__SCHEDULER_CLUSTER_I_D: '7', HOST__IDC: 'dc9' });
  await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
  expect(manager.registrations[0]).toMatchObject({
    sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
    hostname: 'scheduler-under-test',
    ip: '127.0.0.1',
    port: cluster.app.port,
    schedulerClusterId: 7n,
    idc: 'dc9',
    features: ['schedule', 'preheat'],
  });
  expect(JSON.parse(manager.registrations[0]?.config.toString() ?? '')).toEqual({
    manager_keep_alive_interval: 20_000_000,
  });
  await waitFor(() => manager.keepAlives.length >= 3, { what: 'three keep-alive messages' });
  expect(manager.openStreams).toBe(1);
  expect(manager.keepAlives[0]).toMatchObject({ hostname: 'scheduler-under-test', ip: '127.0.0.1', clusterId: 7n });
});

it('offers as many parents as the cluster says, and follows a change', async () => {
  await using manager = await FakeManager.start();
  manager.clusterConfig = { candidate_parent_limit: 2 };
  await using cluster = await startUnder(manager.port);
  for (let index = 0; index < 6; index++) {
    const parent = await cluster.peer('task');
    await parent.register(aDownload({ metadataOnly: true }));
    await parent.answer();
    await parent.finished();
    await parent.end();
  }
  const count = async (): Promise<number> => {
    const child = await cluster.peer('task');
    await child.register();
    return (await child.parents()).length;
  };
  await waitFor(async () => (await count()) === 2, { what: 'the limit of 2' });
  manager.clusterConfig = { candidate_parent_limit: 5 };
  await waitFor(async () => (await count()) === 5, { what: 'the limit of 5' });
});

it('takes the priority of an application from the manager', async () => {
  await using manager = await FakeManager.start();
  manager.applications = [
    managerV2.Application.fromPartial({
      id: 1n,
      name: 'app',
      url: 'http://example.com',
      priority: { value: 0, urls: [{ regex: 'secret', value: 1 }] },
    }),
  ];
  await using cluster = await startUnder(manager.port);
  await waitFor(() => cluster.app.core.state.applications().length === 1, { what: 'the application' });
  const peer = await cluster.peer('task');
  await peer.register(aDownload({ application: 'app', url: 'http://a/secret' }));
  expect(await peer.end()).toMatchObject({ message: 'LEVEL1 peer is forbidden' });
});

it('an application that makes no sense is left out, and everything else of the settings holds', async () => {
  await using manager = await FakeManager.start();
  const application = (name: string, urls: { regex: string; value: number }[]): managerV2.Application =>
    managerV2.Application.fromPartial({ id: 1n, name, url: 'http://example.com', priority: { value: 0, urls } });
  manager.applications = [
    application('', [{ regex: 'x', value: 1 }]),
    application('bad-value', [{ regex: 'x', value: 77 }]),
    application('bad-pattern', [
      { regex: '(', value: 1 },
      { regex: '(?i)SECRET', value: 1 },
    ]),
  ];
  manager.clusterConfig = { candidate_parent_limit: 5 };
  await using cluster = await startUnder(manager.port);
  await waitFor(() => cluster.app.core.state.applications().length === 1, { what: 'the application' });
  const peer = await cluster.peer('task');
  await peer.register(aDownload({ application: 'bad-pattern', url: 'http://a/secret' }));
  expect(await peer.end()).toMatchObject({ message: 'LEVEL1 peer is forbidden' });
});

it('serves without the manager, says so, and registers as soon as it is there', async () => {
  const placeholder = await FakeManager.start();
  const { port } = placeholder;
  await placeholder[Symbol.asyncDispose]();
  await using cluster = await startUnder(port);
  const peer = await cluster.peer('task');
  await peer.register();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  await waitFor(
    () => cluster.app.readiness.snapshot().conditions['manager-registered']?.detail?.startsWith('cannot register'),
    { what: 'the reason in the readiness' },
  );
  expect(cluster.app.readiness.ready).toBe(false);
  await using manager = await FakeManager.start(port);
  await cluster.app.readiness.whenReady(AbortSignal.timeout(9000));
  expect(manager.registrations.length).toBeGreaterThan(0);
}, 15_000);

it('registers again when the manager has forgotten it', async () => {
  await using manager = await FakeManager.start();
  await using cluster = await startUnder(manager.port);
  await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
  const before = manager.registrations.length;
  manager.forget();
  await waitFor(() => manager.registrations.length > before, { what: 'a further registration' });
  const messages = manager.keepAlives.length;
  await waitFor(() => manager.keepAlives.length > messages, { what: 'further keep-alive messages' });
});

it('opens a new keep-alive stream when the manager holds it for inactive nevertheless', async () => {
  await using manager = await FakeManager.start();
  await using cluster = await startUnder(manager.port);
  await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
  manager.state = 'inactive';
  await waitFor(() => manager.openStreams === 2, { what: 'a second stream' });
  expect(manager.endedStreams).toBe(1);
  manager.state = 'active';
});

it('goes on with the last settings when the manager goes away, and after its return', async () => {
  const first = await FakeManager.start();
  const { port } = first;
  await using cluster = await startUnder(port);
  await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
  await first[Symbol.asyncDispose]();
  await waitFor(() => cluster.app.readiness.snapshot().conditions['manager-registered']?.detail !== undefined, {
    what: 'the loss to be noticed',
  });
  expect(cluster.app.readiness.ready).toBe(true);
  await using second = await FakeManager.start(port);
  await waitFor(() => second.keepAlives.length > 0, { what: 'keep-alive at the new manager' });
}, 15_000);

it('ends its keep-alive stream when it stops, so that the manager knows at once', async () => {
  await using manager = await FakeManager.start();
  {
    await using cluster = await startUnder(manager.port);
    await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
  }
  await waitFor(() => manager.endedStreams === 1, { what: 'the end of the stream' });
});
