import { jest } from '@jest/globals';
import type { ClientReadableStream } from '@grpc/grpc-js';
import { extPush } from '@dragonfly/proto';
import { createGrpcClient, readStream } from '@dragonfly/rpc';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

const OURS = { build: { gitVersion: 'dfts-0.1.0', platform: '' } };

jest.setTimeout(20_000);

let cluster: TestCluster;
let client: extPush.PushServiceClient;

beforeEach(async () => {
  cluster = await TestCluster.start();
  client = createGrpcClient(extPush.PushServiceClient, `127.0.0.1:${cluster.app.port}`);
});

afterEach(async () => {
  client.close();
  await cluster[Symbol.asyncDispose]();
});

/** News for one host, one by one. */
async function subscribe(hostId: string): Promise<() => Promise<extPush.Push>> {
  const call: ClientReadableStream<extPush.Push> = client.subscribe({ hostId });
  const headers = new Promise<void>((resolve) => call.once('metadata', () => resolve()));
  const news = readStream<extPush.Push>(call, { idleTimeoutMs: 10_000 });
  await headers;
  return async () => {
    const next = await news.next();
    if (next.done === true) throw new Error('the stream of news has ended');
    return next.value;
  };
}

/** A peer that is fetching the task from the source and has a piece. */
async function aReader(taskId: string): Promise<TestPeer> {
  const reader = await cluster.peer(taskId);
  await reader.register();
  await reader.answer();
  await reader.sourceStarted();
  await reader.sourcePiece(0);
  return reader;
}

async function aChild(taskId: string, hostId: string): Promise<TestPeer> {
  const child = await cluster.peer(taskId, hostId);
  await child.register();
  await child.parents();
  await child.started();
  return child;
}

function parentsIn({ push }: extPush.Push): string[] {
  if (push?.$case !== 'parents') throw new Error(`expected parents, got ${push?.$case ?? 'nothing'}`);
  return push.value.candidateParents.map(({ id }) => id);
}

describe('PushService', () => {
  it('tells a peer that is downloading of a parent that has become known since', async () => {
    const hostId = await cluster.host('ours', OURS);
    const next = await subscribe(hostId);
    await aReader('task');
    const child = await aChild('task', hostId);
    const other = await aSecondReader('task');
    const news = await next();
    expect(news).toMatchObject({ taskId: 'task', peerId: child.id });
    expect(parentsIn(news)).toEqual([other.id]);
    // Nothing came on the conversation: there is one answer for each question, as for everybody.
    expect(await child.hasAnswer()).toBe(false);
  });

  it('makes no cycle: a parent is not told to fetch from its child', async () => {
    const parentHost = await cluster.host('parent', OURS);
    const next = await subscribe(parentHost);
    const reader = await aReader('task');
    const parent = await aChild('task', parentHost);
    const child = await cluster.peer('task');
    await child.register();
    const parents = (await child.parents()).map(({ id }) => id).sort();
    expect(parents).toEqual([parent.id, reader.id].sort());
    await child.started();
    // The next news is of one that is no descendant.
    const later = await aSecondReader('task');
    expect(parentsIn(await next())).toEqual([later.id]);
  });

  it('tells of a parent that has left', async () => {
    const hostId = await cluster.host('ours', OURS);
    const next = await subscribe(hostId);
    const reader = await aReader('task');
    const child = await aChild('task', hostId);
    await cluster.call('deletePeer', { hostId: reader.ids.hostId, taskId: 'task', peerId: reader.id });
    expect(await next()).toEqual({
      taskId: 'task',
      peerId: child.id,
      push: { $case: 'parentsGone', value: { peerIds: [reader.id] } },
    });
  });

  it('serves only hosts of ours that have announced themselves', async () => {
    const ended = async (hostId: string): Promise<unknown> => {
      try {
        for await (const _news of readStream<extPush.Push>(client.subscribe({ hostId }), { idleTimeoutMs: 5000 }));
        return 'OK';
      } catch (error) {
        return error;
      }
    };
    expect(await ended('nobody')).toMatchObject({ code: 'not-found' });
    expect(await ended(await cluster.host('foreign'))).toMatchObject({ code: 'failed-precondition' });
  });

  it('a second stream of a host takes the place of the first', async () => {
    const hostId = await cluster.host('ours', OURS);
    const first = await subscribe(hostId);
    await subscribe(hostId);
    await expect(first()).rejects.toThrow('ended');
    expect(cluster.app.core.subscribers.count).toBe(1);
  });
});

/** A further peer at the source, which went there by itself. */
async function aSecondReader(taskId: string): Promise<TestPeer> {
  const reader = await cluster.peer(taskId);
  await reader.register();
  await reader.answer();
  await reader.sourceStarted();
  await reader.sourcePiece(1);
  return reader;
}
