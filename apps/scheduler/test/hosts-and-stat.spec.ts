import { type ServiceError, status } from '@grpc/grpc-js';
import { schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { aDownload, aHost } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

it('lists hosts, all or of one type', async () => {
  await cluster.host('a');
  await cluster.host('b', { type: 1 });
  expect(await cluster.listHosts()).toEqual(['127.0.0.1-a', '127.0.0.1-b']);
  expect(await cluster.listHosts(0)).toEqual(['127.0.0.1-a']);
  expect(await cluster.listHosts(1)).toEqual(['127.0.0.1-b']);
  expect(await cluster.listHosts(7)).toEqual([]);
});

it('an announcement of a known host brings ip and name up to date and keeps what it leaves out', async () => {
  await cluster.host('a', { cpu: { logicalCount: 8 } });
  await cluster.host('a', { ip: '127.0.0.9', hostname: 'renamed', cpu: undefined });
  const { hosts } = await unary(cluster.client.listHosts.bind(cluster.client), {}, { deadlineMs: 5000 });
  expect(hosts).toEqual([
    expect.objectContaining({
      ip: '127.0.0.9',
      hostname: 'renamed',
      cpu: expect.objectContaining({ logicalCount: 8 }),
    }),
  ]);
});

it.each([
  ['no host', {}, 'host'],
  ['a port that is not allowed', { host: aHost('a', { port: 80 }) }, 'port'],
  ['an ip that is none', { host: aHost('a', { ip: 'localhost' }) }, 'ip'],
  ['an id that is empty', { host: aHost('a', { id: '' }) }, 'id'],
])('refuses an announcement with %s, naming the field', async (_name, request, field) => {
  await expect(
    cluster.call('announceHost', schedulerV2.AnnounceHostRequest.fromPartial(request)),
  ).rejects.toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(field) });
});

it('unknown peers, tasks and hosts are NOT_FOUND; deleting an unknown peer is fine', async () => {
  const ids = { hostId: 'x', taskId: 'x', peerId: 'x' };
  await expect(cluster.statPeer('x')).rejects.toMatchObject({ code: 'not-found', message: 'peer x not found' });
  await expect(cluster.statTask('x')).rejects.toMatchObject({ code: 'not-found', message: 'task x not found' });
  await expect(cluster.call('deleteHost', ids)).rejects.toMatchObject({ code: 'not-found' });
  await expect(cluster.call('deleteTask', ids)).rejects.toMatchObject({ code: 'not-found' });
  await expect(cluster.call('deletePeer', ids)).resolves.toBeUndefined();
});

it('deleting a task deletes the peers of that host only', async () => {
  const [a, b] = [await cluster.peer('task'), await cluster.peer('task')];
  for (const peer of [a, b]) {
    await peer.register(aDownload({ metadataOnly: true }));
    await peer.answer();
  }
  await cluster.call('deleteTask', { hostId: a.ids.hostId, taskId: 'task' });
  await expect(cluster.statPeer(a.id)).rejects.toMatchObject({ code: 'not-found' });
  expect((await cluster.statPeer(b.id)).id).toBe(b.id);
  expect((await cluster.statTask('task')).peerCount).toBe(1);
});

it('a peer that waits for parents is told when it is deleted', async () => {
  const [holder, waiting] = [await cluster.peer('task'), await cluster.peer('task')];
  await holder.register();
  await holder.answer();
  await waiting.register();
  await waitFor(async () => (await cluster.statTask('task')).peerCount === 2, { what: 'the second registration' });
  await cluster.call('deletePeer', { hostId: waiting.ids.hostId, taskId: 'task', peerId: waiting.id });
  expect(await waiting.end()).toEqual({ code: 'not-found', message: `peer ${waiting.id} not found` });
});

it('deleting a host deletes its peers, and who waits for them goes on', async () => {
  const [holder, waiting] = [await cluster.peer('task'), await cluster.peer('task')];
  await holder.register();
  await holder.answer();
  await waiting.register();
  await waitFor(async () => (await cluster.statTask('task')).peerCount === 2, { what: 'the second registration' });
  await cluster.call('deleteHost', { hostId: holder.ids.hostId });
  expect((await waiting.answer()).$case).toBe('needBackToSourceResponse');
  await expect(cluster.statPeer(holder.id)).rejects.toMatchObject({ code: 'not-found' });
  await holder.sourceStarted();
  expect(await holder.end()).toMatchObject({ code: 'not-found' });
});

it('answers every method of the service: none is unimplemented', async () => {
  for (const definition of Object.values(schedulerV2.SchedulerService)) {
    const code = await new Promise<status | undefined>((resolve) => {
      if (definition.requestStream) {
        const call = cluster.client.makeBidiStreamRequest(
          definition.path,
          () => Buffer.alloc(0),
          (bytes) => bytes,
        );
        call.on('error', (error: ServiceError) => resolve(error.code));
        call.on('status', ({ code: ended }) => resolve(ended));
        call.on('data', () => undefined);
        call.write({});
        return;
      }
      cluster.client.makeUnaryRequest(
        definition.path,
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        (error) => resolve(error?.code),
      );
    });
    expect([definition.path, code]).not.toEqual([definition.path, status.UNIMPLEMENTED]);
  }
});

it('tells its readiness and metrics over HTTP', async () => {
  const base = `http://127.0.0.1:${cluster.app.statusPort}`;
  const ready = await fetch(`${base}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({
    service: 'scheduler',
    ready: true,
    conditions: { 'grpc-serving': { ok: true }, 'seed-peers-usable': { ok: true } },
  });
  await cluster.host('a');
  const peer = await cluster.peer('task');
  await peer.register();
  await peer.answer();
  await peer.sourceStarted();
  await peer.sourcePiece(0);
  await peer.sourceFinished();
  await peer.end();
  const text = await (await fetch(`${base}/metrics`)).text();
  expect(text).toMatch(/dragonfly_scheduler_announce_host_total\{os="linux",.*git_version="1\.5\.10",.*\} 2\n/);
  expect(text).toContain(
    'dragonfly_scheduler_register_peer_total{priority="LEVEL0",task_type="STANDARD",host_type="normal"} 1',
  );
  expect(text).toContain(
    'dragonfly_scheduler_download_piece_finished_total{traffic_type="BACK_TO_SOURCE",task_type="STANDARD",host_type="normal"} 1',
  );
  expect(text).toContain(
    `dragonfly_scheduler_traffic{type="BACK_TO_SOURCE",task_type="STANDARD",host_type="normal"} ${4 * 1024 * 1024}`,
  );
});

it('a stop ends open streams with UNAVAILABLE', async () => {
  const other = await TestCluster.start();
  const holder = await other.peer('task');
  await holder.register();
  await holder.answer();
  await other.app.stop();
  expect(await holder.end()).toMatchObject({ code: 'unavailable' });
  const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${other.app.port}`);
  await expect(unary(client.listHosts.bind(client), {}, { deadlineMs: 2000 })).rejects.toMatchObject({
    code: 'unavailable',
  });
  client.close();
  await other[Symbol.asyncDispose]();
});
