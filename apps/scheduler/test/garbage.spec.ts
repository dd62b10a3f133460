import { FakeClock } from '@dragonfly/scheduling/testing';
import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

let clock: FakeClock;
let cluster: TestCluster;

beforeEach(async () => {
  clock = new FakeClock();
  cluster = await TestCluster.start({ clock });
});

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function ownerOf(taskId: string, hostId: string): Promise<string> {
  const peer = await cluster.peer(taskId, hostId);
  await peer.register(aDownload({ metadataOnly: true }));
  await peer.answer();
  await peer.started();
  await peer.finished();
  await peer.end();
  return peer.id;
}

it('a host that misses two announcements goes, with its peers; one that keeps announcing stays', async () => {
  const gone = await cluster.host('gone', {}, 60);
  await cluster.host('forever', {});
  const peerId = await ownerOf('task', gone);
  for (let minute = 0; minute < 6; minute++) {
    await cluster.host('alive', {}, 60);
    clock.advance(MINUTE_MS);
  }
  expect(await cluster.listHosts()).toEqual(['127.0.0.1-alive', '127.0.0.1-forever']);
  await expect(cluster.statPeer(peerId)).rejects.toMatchObject({ code: 'not-found' });
});

it('a task without peers goes at the next run of half an hour', async () => {
  const hostId = await cluster.host('a', {});
  await ownerOf('task', hostId);
  await cluster.call('deleteTask', { hostId, taskId: 'task' });
  expect((await cluster.statTask('task')).peerCount).toBe(0);
  clock.advance(30 * MINUTE_MS);
  await expect(cluster.statTask('task')).rejects.toMatchObject({ code: 'not-found' });
});

it('a failed peer leaves at the next run of 10 s and is deleted by the one after', async () => {
  const peer = await cluster.peer('task');
  await peer.register();
  await peer.answer();
  await peer.failed();
  await peer.end();
  clock.advance(10 * SECOND_MS);
  expect((await cluster.statPeer(peer.id)).state).toBe('Leave');
  clock.advance(10 * SECOND_MS);
  await expect(cluster.statPeer(peer.id)).rejects.toMatchObject({ code: 'not-found' });
});

it('a peer at the source without a piece for half an hour leaves, and its stream is told so', async () => {
  const peer = await cluster.peer('task');
  await peer.register();
  await peer.answer();
  await peer.sourceStarted();
  await peer.sourcePiece(0);
  await waitFor(async () => (await cluster.statPeer(peer.id)).pieces.length === 1, { what: 'the piece' });
  clock.advance(30 * MINUTE_MS + 20 * SECOND_MS);
  await peer.sourcePiece(1);
  await peer.sourceFinished();
  expect(await peer.end()).toMatchObject({ code: 'not-found' });
});
