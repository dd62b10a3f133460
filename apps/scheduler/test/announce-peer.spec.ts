import { commonV2 } from '@dragonfly/proto';
import { waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

const MIB = 1024 * 1024;
const UNKNOWN = 2n ** 64n - 1n;

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** A peer that has fetched the whole task from the source. */
async function finishedPeer(taskId: string, pieces = 3): Promise<TestPeer> {
  const peer = await cluster.peer(taskId);
  await peer.register(aDownload({}, pieces));
  expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  await peer.sourceStarted();
  for (let number = 0; number < pieces; number++) await peer.sourcePiece(number);
  await peer.sourceFinished();
  expect(await peer.end()).toBe('OK');
  return peer;
}

describe('sequences of the real client', () => {
  it('back to source: told to, reports pieces, finishes, the server closes', async () => {
    const peer = await cluster.peer('task-source');
    await peer.register();
    const answer = await peer.answer();
    expect(answer).toMatchObject({ $case: 'needBackToSourceResponse', value: { description: expect.any(String) } });
    await peer.sourceStarted();
    await peer.sourcePiece(0);
    await waitFor(async () => (await cluster.statPeer(peer.id)).pieces.length === 1, { what: 'the first piece' });
    expect(await cluster.statPeer(peer.id)).toMatchObject({ state: 'BackToSource', needBackToSource: true });
    await peer.sourcePiece(1);
    await peer.sourcePiece(2);
    await peer.sourceFinished();
    expect(await peer.end()).toBe('OK');
    const task = await cluster.statTask('task-source');
    expect(task).toMatchObject({
      state: 'Succeeded',
      contentLength: BigInt(12 * MIB),
      pieceCount: 3,
      peerCount: 1,
      hasAvailablePeer: true,
      sizeScope: commonV2.SizeScope.NORMAL,
    });
    expect(task.pieces.map((piece) => piece.number)).toEqual([0, 1, 2]);
  });

  it('normal: gets a parent with all that a child needs, reports pieces, finishes, the server closes', async () => {
    const parent = await finishedPeer('task-normal');
    const child = await cluster.peer('task-normal');
    await child.register(aDownload({ requestHeader: { authorization: 'secret' } }));
    const [candidate] = await child.parents();
    expect(candidate).toMatchObject({
      id: parent.id,
      state: 'Succeeded',
      host: {
        id: parent.ids.hostId,
        hostname: expect.any(String),
        ip: '127.0.0.1',
        port: 4000,
        downloadPort: 4000,
        proxyPort: 4001,
        network: { maxTxBandwidth: 1_000_000_000n },
      },
      task: { id: 'task-normal', contentLength: BigInt(12 * MIB), pieceCount: 3, requestHeader: {} },
      cost: expect.anything(),
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    });
    await child.started();
    for (const number of [0, 1, 2]) await child.piece(number, parent.id);
    await child.finished();
    expect(await child.end()).toBe('OK');
    expect(await cluster.statPeer(child.id)).toMatchObject({ state: 'Succeeded', needBackToSource: false });
  });

  it('empty: an empty content needs no parents', async () => {
    const peer = await cluster.peer('task-empty');
    await peer.register(aDownload({}, 0));
    expect(await peer.answer()).toEqual({ $case: 'emptyTaskResponse', value: {} });
    await peer.started();
    await peer.finished();
    expect(await peer.end()).toBe('OK');
    expect(await cluster.statTask('task-empty')).toMatchObject({ sizeScope: commonV2.SizeScope.EMPTY });
  });

  it('metadata only: a peer that has everything becomes a parent', async () => {
    const owner = await cluster.peer('task-metadata');
    await owner.register(aDownload({ metadataOnly: true }));
    expect(await owner.answer()).toEqual({ $case: 'metadataOnlyResponse', value: {} });
    await owner.started();
    await owner.finished();
    expect(await owner.end()).toBe('OK');
    const child = await cluster.peer('task-metadata');
    await child.register();
    expect((await child.parents()).map((parent) => parent.id)).toEqual([owner.id]);
  });

  it('reschedule: parents that were no good are not offered again, each question gets one answer', async () => {
    const [first, second] = [await finishedPeer('task-reschedule'), await cluster.peer('task-reschedule')];
    await second.register(aDownload({ metadataOnly: true }));
    await second.answer();
    await second.finished();
    await second.end();
    const child = await cluster.peer('task-reschedule');
    await child.register();
    const offered = await child.parents();
    expect(new Set(offered.map((parent) => parent.id))).toEqual(new Set([first.id, second.id]));
    await child.started();
    await child.pieceFailed(1, first.id);
    await child.reschedule(offered.filter((parent) => parent.id === first.id));
    expect((await child.parents()).map((parent) => parent.id)).toEqual([second.id]);
    await child.started();
    await child.reschedule(await Promise.resolve(offered.filter((parent) => parent.id === second.id)));
    expect((await child.answer()).$case).toBe('needBackToSourceResponse');
    await child.sourceStarted();
    await child.sourceFinished();
    expect(await child.end()).toBe('OK');
  });

  it('a failed piece blocks its parent also without a reschedule naming it', async () => {
    const parent = await finishedPeer('task-piece-failed');
    const child = await cluster.peer('task-piece-failed');
    await child.register();
    await child.parents();
    await child.started();
    await child.pieceFailed(0, parent.id);
    await child.reschedule([]);
    expect((await child.answer()).$case).toBe('needBackToSourceResponse');
  });

  it('failed: the peer gives up, the server closes, and the peer is no parent', async () => {
    await finishedPeer('task-failed');
    const peer = await cluster.peer('task-failed');
    await peer.register();
    await peer.parents();
    await peer.started();
    await peer.failed();
    expect(await peer.end()).toBe('OK');
    expect(await cluster.statPeer(peer.id)).toMatchObject({ state: 'Failed' });
  });

  it('back to source failed: the task has failed until the next peer registers', async () => {
    const peer = await cluster.peer('task-origin-404');
    await peer.register();
    await peer.answer();
    await peer.sourceStarted();
    await peer.sourceFailed();
    expect(await peer.end()).toBe('OK');
    expect(await cluster.statTask('task-origin-404')).toMatchObject({
      state: 'Failed',
      contentLength: UNKNOWN,
      pieceCount: 0,
      sizeScope: commonV2.SizeScope.UNKNOW,
    });
    const next = await cluster.peer('task-origin-404');
    await next.register(aDownload({}, 7));
    expect((await next.answer()).$case).toBe('needBackToSourceResponse');
    expect(await cluster.statTask('task-origin-404')).toMatchObject({ state: 'Running', pieceCount: 7 });
  });

  it('a length that is not told is unknown, not 0', async () => {
    const peer = await cluster.peer('task-untold');
    await peer.register(aDownload({ actualContentLength: undefined, actualPieceCount: undefined }));
    expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
    expect(await cluster.statTask('task-untold')).toMatchObject({ contentLength: UNKNOWN });
  });

  it('one peer that fails at the source does not fail a task that others have', async () => {
    const owner = await finishedPeer('task-others');
    const peer = await cluster.peer('task-others');
    await peer.register();
    await peer.reschedule(await peer.parents());
    expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
    await peer.sourceStarted();
    await peer.sourceFailed();
    await peer.end();
    expect(await cluster.statTask('task-others')).toMatchObject({ state: 'Running', contentLength: BigInt(12 * MIB) });
    const next = await cluster.peer('task-others');
    await next.register();
    expect((await next.parents()).map((parent) => parent.id)).toEqual([owner.id]);
  });

  it('StatTask shows no credentials', async () => {
    const peer = await cluster.peer('task-secret');
    const secrets = [
      'Authorization',
      'Proxy-Authorization',
      'Cookie',
      'PRIVATE-TOKEN',
      'JOB-TOKEN',
      'api-key',
      'X-Secret',
    ];
    const headersWith = (value: string) => Object.fromEntries(secrets.map((name) => [name, value]));
    await peer.register(aDownload({ requestHeader: { ...headersWith('x'), accept: '*/*' } }));
    await peer.answer();
    const { requestHeader } = await cluster.statTask('task-secret');
    expect(requestHeader).toEqual({ ...headersWith('***'), accept: '*/*' });
  });

  it('unknown length: the pieces tell it, and waiting peers learn it from the parent', async () => {
    const unknown = { actualContentLength: UNKNOWN, actualPieceCount: 0n };
    const holder = await cluster.peer('task-unknown');
    await holder.register(aDownload(unknown));
    expect((await holder.answer()).$case).toBe('needBackToSourceResponse');
    const waiting = await cluster.peer('task-unknown');
    await waiting.register(aDownload(unknown));
    await holder.sourceStarted();
    await holder.sourcePiece(0);
    await holder.sourcePiece(1, { length: 1000n });
    await waitFor(async () => (await cluster.statPeer(holder.id)).pieces.length === 2, { what: 'both pieces' });
    expect(await waiting.hasAnswer()).toBe(false);
    await holder.sourceFinished();
    const [parent] = await waiting.parents();
    expect(parent).toMatchObject({ id: holder.id, task: { contentLength: BigInt(4 * MIB + 1000), pieceCount: 2 } });
  });
});

describe('source lease', () => {
  it('of twenty concurrent peers exactly one is sent to the source; the first piece answers all others', async () => {
    const peers = await Promise.all(Array.from({ length: 20 }, () => cluster.peer('task-lease')));
    await Promise.all(peers.map((peer) => peer.register()));
    const holder = await Promise.any(peers.map(async (peer) => ({ peer, answer: await peer.answer() })));
    expect(holder.answer.$case).toBe('needBackToSourceResponse');
    await waitFor(async () => (await cluster.statTask('task-lease')).peerCount === 20, { what: 'all registrations' });
    await holder.peer.sourceStarted();
    await holder.peer.sourcePiece(0);
    const others = peers.filter((peer) => peer !== holder.peer);
    const offered = await Promise.all(others.map((peer) => peer.parents()));
    expect(offered.every((parents) => parents.length >= 1 && parents.length <= 3)).toBe(true);
    expect(offered.filter((parents) => parents.some((parent) => parent.id === holder.peer.id)).length).toBeGreaterThan(
      0,
    );
  });

  it('passes on when the holder’s connection breaks', async () => {
    const [holder, waiting] = [await cluster.peer('task-broken'), await cluster.peer('task-broken')];
    await holder.register();
    await holder.answer();
    await waiting.register();
    await waitFor(async () => (await cluster.statTask('task-broken')).peerCount === 2, { what: 'the second peer' });
    holder.cancel();
    expect((await waiting.answer()).$case).toBe('needBackToSourceResponse');
  });

  it('a peer that must not go to the source gets parents, not the source', async () => {
    const strict = await cluster.peer('task-strict');
    await strict.register(aDownload({ disableBackToSource: true }));
    await waitFor(async () => (await cluster.statTask('task-strict')).peerCount === 1, { what: 'the strict peer' });
    const other = await cluster.peer('task-strict');
    await other.register();
    expect((await other.answer()).$case).toBe('needBackToSourceResponse');
    await other.sourceStarted();
    await other.sourcePiece(0);
    expect((await strict.parents()).map((parent) => parent.id)).toEqual([other.id]);
  });
});

describe('mistakes of a client', () => {
  it.each([
    ['an unknown host', 'ghost', aDownload(), { code: 'not-found', message: 'host ghost not found' }],
    ['a url that is none', undefined, aDownload({ url: 'file.bin' }), { code: 'invalid-argument' }],
    ['a piece length out of bounds', undefined, aDownload({ pieceLength: 5n }), { code: 'invalid-argument' }],
    ['a digest that is none', undefined, aDownload({ digest: 'sha256:xyz' }), { code: 'invalid-argument' }],
    ['a number that is no priority', undefined, aDownload({ priority: 9 as never }), { code: 'invalid-argument' }],
  ])('registering with %s ends the stream', async (_name, hostId, download, expected) => {
    const peer = await cluster.peer('task-mistakes', hostId);
    await peer.register(download);
    expect(await peer.end()).toMatchObject(expected);
  });

  it('a message without its content is INVALID_ARGUMENT', async () => {
    const peer = await cluster.peer('task-mistakes');
    await peer.sendNothing();
    expect(await peer.end()).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('request') });
  });

  it('a report before the registration is NOT_FOUND; a piece report is ignored', async () => {
    const peer = await cluster.peer('task-mistakes');
    await peer.piece(0, 'nobody');
    await peer.started();
    expect(await peer.end()).toEqual({ code: 'not-found', message: `peer ${peer.id} not found` });
  });

  it('registering twice ends the second stream and leaves the first one alone', async () => {
    const peer = await finishedPeer('task-twice');
    const again = await cluster.peer('task-twice', peer.ids.hostId);
    Object.assign(again, { ids: peer.ids });
    await again.register();
    expect(await again.end()).toMatchObject({
      code: 'internal',
      message: expect.stringContaining('event RegisterNormal inappropriate in current state Succeeded'),
    });
    expect(await cluster.statPeer(peer.id)).toMatchObject({ state: 'Succeeded' });
  });

  it('an event that is illegal in the peer’s state fails the peer', async () => {
    const peer = await cluster.peer('task-illegal');
    await peer.register();
    await peer.answer();
    await peer.sourceStarted();
    await peer.started();
    expect(await peer.end()).toMatchObject({
      code: 'internal',
      message: expect.stringContaining('event Download inappropriate in current state BackToSource'),
    });
    expect(await cluster.statPeer(peer.id)).toMatchObject({ state: 'Failed' });
  });

  it('half-closing ends the stream with OK, and a cancelled peer is not failed', async () => {
    const [polite, rude] = [await cluster.peer('task-half'), await cluster.peer('task-half')];
    await polite.register();
    await polite.answer();
    polite.halfClose();
    expect(await polite.end()).toBe('OK');
    await rude.register();
    await rude.answer();
    rude.cancel();
    await waitFor(() => cluster.app.core.state.resources.peers.get(rude.id as never)?.isAttached === false, {
      what: 'the end of the stream',
    });
    expect(await cluster.statPeer(rude.id)).toMatchObject({ state: 'ReceivedNormal' });
  });

  it.each([
    [1, { code: 'failed-precondition', message: 'LEVEL1 peer is forbidden' }],
    [2, { code: 'not-found', message: 'LEVEL2 peer not found candidate peers' }],
  ])('LEVEL%d is enforced, with or without seeds', async (priority, expected) => {
    const peer = await cluster.peer(`task-level-${priority}`);
    await peer.register(aDownload({ priority }));
    expect(await peer.end()).toEqual(expected);
    expect(await cluster.statPeer(peer.id)).toMatchObject({ state: 'Failed' });
  });
});

it('response headers come at once, before any answer', async () => {
  const hostId = await cluster.host('headers');
  const holder = await cluster.peer('task-headers', hostId);
  await holder.register();
  await holder.answer();
  const call = cluster.client.announcePeer();
  const gotHeaders = new Promise<void>((resolve) => call.once('metadata', () => resolve()));
  await gotHeaders;
  call.on('error', () => undefined);
  call.cancel();
});
