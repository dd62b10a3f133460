import { status } from '@grpc/grpc-js';
import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { FakeSeed } from './support/fake-seed.js';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function announceSeed(name: string, port: number): Promise<string> {
  const id = `127.0.0.1-${name}-seed`;
  await cluster.host(name, { id, type: 1, port, downloadPort: port });
  return id;
}

async function seedsUsable(): Promise<void> {
  await cluster.app.readiness.whenReady(AbortSignal.timeout(5000));
}

/** The seed's own announce stream, as the real one opens it when it is triggered. */
async function seedPeer(taskId: string, hostId: string): Promise<TestPeer> {
  const peer = await cluster.peer(taskId, hostId);
  await peer.register(aDownload({ needBackToSource: true }));
  return peer;
}

it('the seed is triggered once and fetches from the source; the peers get it as their parent', async () => {
  await using seed = await FakeSeed.start();
  const hostId = await announceSeed('seed', seed.port);
  await seedsUsable();
  const peers = [await cluster.peer('task'), await cluster.peer('task'), await cluster.peer('task')];
  for (const peer of peers) {
    await peer.register(
      aDownload({ outputPath: '/tmp/out', tag: 'blue', needPieceContent: true, disableBackToSource: true }),
    );
  }
  const call = await seed.nextCall();
  expect(call.download).toMatchObject({
    url: 'http://origin.example/file.bin',
    tag: 'blue',
    needBackToSource: true,
    disableBackToSource: false,
    outputPath: undefined,
    needPieceContent: false,
    schedulingPolicy: 1,
    actualContentLength: BigInt(12 * 1024 * 1024),
  });
  const own = await seedPeer('task', hostId);
  expect((await own.answer()).$case).toBe('needBackToSourceResponse');
  await own.sourceStarted();
  await own.sourcePiece(0);
  for (const peer of peers) expect((await peer.parents()).length).toBeGreaterThan(0);
  await own.sourceFinished();
  expect(await own.end()).toBe('OK');
  call.end();
  const late = await cluster.peer('task');
  await late.register();
  expect((await late.parents()).length).toBeGreaterThan(0);
  expect(seed.count).toBe(1);
});

it('a seed is usable as soon as its server opens, also when it opens after the announcement', async () => {
  const first = await FakeSeed.start();
  const { port } = first;
  await first[Symbol.asyncDispose]();
  await announceSeed('late', port);
  expect(cluster.app.readiness.snapshot().conditions['seed-peers-usable']).toEqual({
    ok: false,
    detail: '0 of 1 seed peers serve',
  });
  await using seed = await FakeSeed.start(port);
  await seedsUsable();
  await (await cluster.peer('task')).register();
  expect((await seed.nextCall()).download.url).toBe('http://origin.example/file.bin');
});

it('a seed that cannot be reached is passed over: the requester goes to the source', async () => {
  const seed = await FakeSeed.start();
  await announceSeed('gone', seed.port);
  await seedsUsable();
  await seed[Symbol.asyncDispose]();
  const peer = await cluster.peer('task');
  await peer.register();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  expect(cluster.app.readiness.snapshot().conditions['seed-peers-usable']?.ok).toBe(false);
});

it('a seed that fails leaves the source to the requester, and is not asked for this task again', async () => {
  await using seed = await FakeSeed.start();
  const hostId = await announceSeed('seed', seed.port);
  await seedsUsable();
  const peer = await cluster.peer('task');
  await peer.register();
  const call = await seed.nextCall();
  const own = await seedPeer('task', hostId);
  await own.answer();
  await own.sourceStarted();
  await own.sourceFailed();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  call.end(Object.assign(new Error('origin refused'), { code: status.INTERNAL, details: 'origin refused' }));
  await peer.sourceStarted();
  await peer.sourceFailed();
  await peer.end();
  const next = await cluster.peer('task');
  await next.register();
  expect((await next.answer()).$case).toBe('needBackToSourceResponse');
  expect(seed.count).toBe(1);
});

it('LEVEL3 goes to the source itself although a seed serves', async () => {
  await using seed = await FakeSeed.start();
  await announceSeed('seed', seed.port);
  await seedsUsable();
  const peer = await cluster.peer('task');
  await peer.register(aDownload({ priority: 3 }));
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  expect(seed.count).toBe(0);
});

it('a seed that leaves is out of the ring', async () => {
  await using seed = await FakeSeed.start();
  const hostId = await announceSeed('seed', seed.port);
  await seedsUsable();
  await cluster.call('deleteHost', { hostId });
  const peer = await cluster.peer('task');
  await peer.register();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  expect(seed.count).toBe(0);
});

it('a seed that is restarted is used again at once', async () => {
  const first = await FakeSeed.start();
  const { port } = first;
  await announceSeed('seed', port);
  await seedsUsable();
  await first[Symbol.asyncDispose]();
  // Whoever asks next finds out that it is gone; its announcement after the restart brings it back.
  await (await cluster.peer('task-a')).register();
  await waitFor(() => !cluster.app.readiness.ready, { what: 'the seed to leave the ring' });
  await using second = await FakeSeed.start(port);
  await announceSeed('seed', port);
  await seedsUsable();
  await (await cluster.peer('task-b')).register();
  await second.nextCall();
});
