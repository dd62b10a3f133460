import { commonV2, type schedulerV2 } from '@dragonfly/proto';
import { BidiCall, unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { aDownload, aPiece } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

const DEADLINE = { deadlineMs: 5_000 };

type Request = NonNullable<schedulerV2.AnnounceCachePeerRequest['request']>;
type Response = NonNullable<schedulerV2.AnnounceCachePeerResponse['response']>;

let cluster: TestCluster;
let serial = 0;

beforeAll(async () => {
  cluster = await TestCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** An announce stream of a cache task. */
class CachePeer {
  readonly #call: BidiCall<schedulerV2.AnnounceCachePeerRequest, schedulerV2.AnnounceCachePeerResponse>;
  readonly #answers: AsyncGenerator<schedulerV2.AnnounceCachePeerResponse, void, undefined>;

  constructor(readonly ids: { readonly hostId: string; readonly taskId: string; readonly peerId: string }) {
    this.#call = BidiCall.open<schedulerV2.AnnounceCachePeerRequest, schedulerV2.AnnounceCachePeerResponse>(
      cluster.client.announceCachePeer.bind(cluster.client),
      { idleTimeoutMs: 20_000 },
    );
    this.#answers = this.#call.messages();
  }

  static async of(taskId: string): Promise<CachePeer> {
    const number = serial++;
    return new CachePeer({
      hostId: await cluster.host(`cache-${number}`),
      taskId,
      peerId: `cache-peer-${number}`,
    });
  }

  send(request: Request): Promise<void> {
    return this.#call.send({ ...this.ids, request });
  }

  register(pieces = 3): Promise<void> {
    const { certificateChain, ...download } = aDownload({}, pieces);
    return this.send({ $case: 'registerCachePeerRequest', value: { ...download, certificateChain } });
  }

  async answer(): Promise<Response> {
    const next = await this.#answers.next();
    if (next.done === true || next.value.response === undefined) throw new Error('the stream ended without an answer');
    return next.value.response;
  }

  async hasEnded(): Promise<boolean> {
    return (await this.#answers.next()).done === true;
  }
}

async function fromSource(taskId: string): Promise<CachePeer> {
  const peer = await CachePeer.of(taskId);
  await peer.register();
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  await peer.send({ $case: 'downloadCachePeerBackToSourceStartedRequest', value: {} });
  for (const number of [0, 1, 2]) {
    await peer.send({ $case: 'downloadPieceBackToSourceFinishedRequest', value: { piece: aPiece(number) } });
  }
  await peer.send({ $case: 'downloadCachePeerBackToSourceFinishedRequest', value: {} });
  expect(await peer.hasEnded()).toBe(true);
  return peer;
}

describe('cache tasks', () => {
  it('are scheduled as standard tasks are: the first peer to the source, the next one from it', async () => {
    const parent = await fromSource('cache-task');
    const child = await CachePeer.of('cache-task');
    await child.register();
    expect(await child.answer()).toMatchObject({
      $case: 'normalCacheTaskResponse',
      value: {
        candidateParents: [
          { id: parent.ids.peerId, state: 'Succeeded', task: { id: 'cache-task', type: commonV2.TaskType.CACHE } },
        ],
      },
    });
    await child.send({ $case: 'downloadCachePeerStartedRequest', value: {} });
    await child.send({
      $case: 'downloadPieceFailedRequest',
      value: { pieceNumber: 0, parentId: parent.ids.peerId, temporary: true },
    });
    await child.send({ $case: 'rescheduleCachePeerRequest', value: { candidateParents: [] } });
    expect((await child.answer()).$case).toBe('needBackToSourceResponse');
    await child.send({ $case: 'downloadCachePeerFailedRequest', value: { description: 'enough' } });
    expect(await child.hasEnded()).toBe(true);
    const ids = { ...child.ids };
    expect(await unary(cluster.client.statCachePeer.bind(cluster.client), ids, DEADLINE)).toMatchObject({
      state: 'Failed',
    });
  });

  it('of no content are answered at once', async () => {
    const peer = await CachePeer.of('cache-empty');
    await peer.register(0);
    expect(await peer.answer()).toEqual({ $case: 'emptyCacheTaskResponse', value: {} });
  });

  it('are another thing than standard tasks of the same id', async () => {
    const peer = await fromSource('same-id');
    const standard = await cluster.peer('same-id');
    await standard.register();
    expect((await standard.answer()).$case).toBe('needBackToSourceResponse');
    await standard.sourceStarted();
    expect(await cluster.statTask('same-id')).toMatchObject({ state: 'Running', peerCount: 1, type: 0 });
    const statTask = cluster.client.statCacheTask.bind(cluster.client);
    expect(await unary(statTask, { hostId: 'any', taskId: 'same-id' }, DEADLINE)).toMatchObject({
      state: 'Succeeded',
      peerCount: 1,
      type: commonV2.TaskType.CACHE,
      pieceCount: 3,
    });
    await expect(cluster.statPeer(peer.ids.peerId)).rejects.toMatchObject({ code: 'not-found' });
    await cluster.call('deletePeer', peer.ids);
    const statPeer = cluster.client.statCachePeer.bind(cluster.client);
    expect(await unary(statPeer, peer.ids, DEADLINE)).toMatchObject({ state: 'Succeeded', task: { id: 'same-id' } });
  });

  it('and their peers can be deleted, are NOT_FOUND then, and are forgotten', async () => {
    const [first, second] = [await fromSource('cache-delete'), await CachePeer.of('cache-delete')];
    await second.register();
    await second.answer();
    await unary(cluster.client.deleteCachePeer.bind(cluster.client), second.ids, DEADLINE);
    const statPeer = cluster.client.statCachePeer.bind(cluster.client);
    await expect(unary(statPeer, second.ids, DEADLINE)).rejects.toMatchObject({ code: 'not-found' });
    await unary(cluster.client.deleteCacheTask.bind(cluster.client), first.ids, DEADLINE);
    await expect(unary(statPeer, first.ids, DEADLINE)).rejects.toMatchObject({ code: 'not-found' });
    const { state, garbage } = cluster.app.core;
    await waitFor(() => state.resources.cacheTasks.get('cache-delete' as never)?.peers.size === 0, {
      what: 'no peers',
    });
    garbage.collectTasks();
    const statTask = cluster.client.statCacheTask.bind(cluster.client);
    await expect(unary(statTask, { hostId: 'x', taskId: 'cache-delete' }, DEADLINE)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('are counted with their type', async () => {
    await fromSource('cache-metrics');
    const text = await cluster.app.core.state.metrics.registry.metrics();
    expect(text).toMatch(/register_peer_total\{priority="LEVEL0",task_type="CACHE",host_type="normal"\} \d+/);
    expect(text).toMatch(/traffic\{type="BACK_TO_SOURCE",task_type="CACHE",host_type="normal"\} \d+/);
  });
});
