import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** A peer that has registered and fetches from the source. */
async function reader(taskId: string): Promise<TestPeer> {
  const peer = await cluster.peer(taskId);
  await peer.register();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  await peer.sourceStarted();
  return peer;
}

describe('a stream that reports with the ids of others', () => {
  it.each([
    ['peer', (victim: TestPeer) => ({ peerId: victim.ids.peerId })],
    ['host', (victim: TestPeer) => ({ hostId: victim.ids.hostId })],
    ['task', (victim: TestPeer) => ({ taskId: victim.ids.taskId })],
    ['everything', (victim: TestPeer) => victim.ids],
  ])('is ended when the %s is not its own, and the other peer does not notice', async (name, stolen) => {
    const victim = await reader(`task-victim-${name}`);
    const thief = await reader(`task-thief-${name}`);
    const before = await cluster.statPeer(victim.id);
    Object.assign(thief, { ids: { ...thief.ids, ...stolen(victim) } });
    await thief.failed();
    expect(await thief.end()).toMatchObject({ code: 'invalid-argument' });
    expect(await cluster.statPeer(victim.id)).toEqual(before);
  });

  it('cannot report before it has registered, not even for a peer that exists', async () => {
    const victim = await reader('task-unregistered');
    const thief = await cluster.peer('task-unregistered');
    Object.assign(thief, { ids: victim.ids });
    await thief.failed();
    expect(await thief.end()).toEqual({ code: 'not-found', message: `peer ${victim.id} not found` });
    expect(await cluster.statPeer(victim.id)).toMatchObject({ state: 'BackToSource' });
  });

  it('reports pieces for nobody but itself', async () => {
    const victim = await reader('task-pieces');
    const thief = await reader('task-pieces-of-thief');
    const own = thief.ids;
    Object.assign(thief, { ids: victim.ids });
    await thief.sourcePiece(1);
    Object.assign(thief, { ids: own });
    await thief.sourcePiece(2);
    await waitFor(async () => (await cluster.statPeer(thief.id)).pieces.length === 1, { what: 'its own piece' });
    expect((await cluster.statPeer(victim.id)).pieces).toEqual([]);
    expect((await cluster.statTask('task-pieces')).pieces).toEqual([]);
  });

  it('a failed piece counts against a parent that the peer was given, and against no other', async () => {
    const { resources } = cluster.app.core.state;
    const parent = await reader('task-blame');
    await parent.sourcePiece(0);
    const stranger = await reader('task-of-a-stranger');
    const child = await cluster.peer('task-blame');
    await child.register(aDownload());
    expect((await child.parents()).map(({ id }) => id)).toEqual([parent.id]);
    await child.started();
    await child.pieceFailed(0, stranger.id);
    await child.pieceFailed(0, parent.id);
    const failures = (peer: TestPeer): number | undefined =>
      resources.hosts.get(peer.ids.hostId as never)?.uploadFailedCount;
    await waitFor(() => failures(parent) === 1, { what: 'the failure to be counted' });
    expect(failures(stranger)).toBe(0);
  });

  it('a deletion names the host and task of the peer, or deletes nothing', async () => {
    const victim = await reader('task-deletion');
    await cluster.call('deletePeer', { ...victim.ids, hostId: 'another-host' });
    await cluster.call('deletePeer', { ...victim.ids, taskId: 'another-task' });
    expect(await cluster.statPeer(victim.id)).toMatchObject({ state: 'BackToSource' });
    await cluster.call('deletePeer', victim.ids);
    await expect(cluster.statPeer(victim.id)).rejects.toMatchObject({ code: 'not-found' });
  });
});
