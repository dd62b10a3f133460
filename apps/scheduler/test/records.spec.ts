import { commonV2, extRecords } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { aDownload, aPiece } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

const PIECE_BYTES = 4n * 1024n * 1024n;
const { DownloadResult } = extRecords;

let cluster: TestCluster;
let client: extRecords.RecordServiceClient;

async function start(changes: Record<string, string> = {}): Promise<void> {
  cluster = await TestCluster.start({ changes });
  client = createGrpcClient(extRecords.RecordServiceClient, `127.0.0.1:${cluster.app.port}`);
}
afterEach(async () => {
  client.close();
  await cluster[Symbol.asyncDispose]();
});

const list = (): Promise<extRecords.ListDownloadsResponse> =>
  unary(client.listDownloads.bind(client), {}, { deadlineMs: 5_000 });

/** A peer that has the whole content from the source. */
async function sourcePeer(hostId: string): ReturnType<TestCluster['peer']> {
  const peer = await cluster.peer('task', hostId);
  await peer.register(
    aDownload({ url: 'http://user:pw@origin.example/a?token=secret', tag: 'tag', application: 'app' }),
  );
  await peer.answer();
  await peer.sourceStarted();
  for (let number = 0; number < 3; number++) await peer.sourcePiece(number);
  await peer.sourceFinished();
  await peer.end();
  return peer;
}

it('every download leaves a record of what came from where', async () => {
  await start();
  const first = await sourcePeer(await cluster.host('one', { network: { idc: 'dc1' } }));
  const child = await cluster.peer('task', await cluster.host('two', { network: { idc: 'dc2' } }));
  await child.register();
  await child.answer();
  await child.started();
  await child.pieceFailed(0, first.id, false);
  for (let number = 0; number < 3; number++) await child.piece(number, first.id);
  await child.finished();
  await child.end();
  const { downloads, nextPageToken } = await list();
  expect(nextPageToken).toBe('');
  expect(downloads).toMatchObject([
    {
      peerId: child.id,
      hostname: 'two',
      idc: 'dc2',
      result: DownloadResult.DOWNLOAD_RESULT_SUCCEEDED,
      bytesFromSource: 0n,
      bytesFromPeers: 3n * PIECE_BYTES,
      bytesAcrossIdcs: 3n * PIECE_BYTES,
      strategy: 'default',
      parents: [{ peerId: first.id, hostId: '127.0.0.1-one', bytes: 3n * PIECE_BYTES, pieces: 3 }],
    },
    {
      peerId: first.id,
      taskId: 'task',
      taskType: 'STANDARD',
      url: 'http://origin.example/a',
      tag: 'tag',
      application: 'app',
      contentLength: 3n * PIECE_BYTES,
      bytesFromSource: 3n * PIECE_BYTES,
      bytesFromPeers: 0n,
      parents: [],
    },
  ]);
});

it('a second download of one host, which names no parent for what the first has fetched, counts nothing twice', async () => {
  await start();
  const hostId = await cluster.host('seed', { type: 1 });
  await sourcePeer(hostId);
  // As a real seed of 1.5.10 does that is triggered while it fetches: remote traffic, no parent.
  const again = await cluster.peer('task', hostId);
  await again.register(aDownload({ needBackToSource: true }));
  await again.answer();
  await again.started();
  for (let number = 0; number < 3; number++) {
    await again.send({
      $case: 'downloadPieceFinishedRequest',
      value: { piece: aPiece(number, { trafficType: commonV2.TrafficType.REMOTE_PEER }) },
    });
  }
  await again.finished();
  await again.end();
  expect((await list()).downloads).toMatchObject([
    { peerId: again.id, bytesFromSource: 0n, bytesFromPeers: 0n, bytesFromSeeds: 0n, bytesLocal: 3n * PIECE_BYTES },
    { bytesFromSource: 3n * PIECE_BYTES, bytesFromPeers: 0n, bytesLocal: 0n },
  ]);
});

it('a host that goes on with an interrupted download is a parent at once, and only the rest counts as fetched', async () => {
  await start();
  const holder = await cluster.peer('task', await cluster.host('one'));
  await holder.register();
  await holder.answer();
  const waiting = await cluster.peer('task', await cluster.host('two'));
  await waiting.register();
  await holder.sourceStarted();
  expect(await waiting.hasAnswer()).toBe(false);
  await holder.send({
    $case: 'downloadPieceFinishedRequest',
    value: { piece: aPiece(0, { trafficType: commonV2.TrafficType.LOCAL_PEER }) },
  });
  expect((await waiting.parents()).map(({ id }) => id)).toEqual([holder.id]);
  for (let number = 1; number < 3; number++) await holder.sourcePiece(number);
  await holder.sourceFinished();
  await holder.end();
  const metrics = await cluster.app.core.state.metrics.registry.metrics();
  expect(metrics).toMatch(/strategy_bytes_total\{.*REMOTE_PEER.*\} 0$/m);
  expect((await list()).downloads).toMatchObject([
    { peerId: holder.id, bytesFromSource: 2n * PIECE_BYTES, bytesFromPeers: 0n, bytesLocal: PIECE_BYTES },
  ]);
});

it('failed and abandoned downloads are told apart, with the reason', async () => {
  await start();
  const failed = await cluster.peer('task-a');
  await failed.register();
  await failed.answer();
  await failed.sourceStarted();
  await failed.sourceFailed('the origin says no');
  await failed.end();
  const gone = await cluster.peer('task-b');
  await gone.register();
  await gone.answer();
  gone.cancel();
  await gone.end();
  const records = async (): Promise<readonly extRecords.DownloadRecord[]> => (await list()).downloads;
  while ((await records()).length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(await records()).toMatchObject([
    { taskId: 'task-b', result: DownloadResult.DOWNLOAD_RESULT_ABANDONED },
    { taskId: 'task-a', result: DownloadResult.DOWNLOAD_RESULT_FAILED, description: 'the origin says no' },
  ]);
  expect(cluster.app.core.state.records.openCount).toBe(0);
});

it('downloads are summed by group', async () => {
  await start();
  await sourcePeer(await cluster.host('one'));
  const { summaries } = await unary(
    client.summarizeDownloads.bind(client),
    { group: extRecords.SummaryGroup.SUMMARY_GROUP_APPLICATION, interval: { seconds: 3600n, nanos: 0 } },
    { deadlineMs: 5_000 },
  );
  expect(summaries).toMatchObject([
    { key: 'app', downloads: 1n, failures: 0n, bytesFromSource: 3n * PIECE_BYTES, beginsAt: expect.any(Date) },
  ]);
});

it.each([
  ['a page of more than 1000', { pageSize: 1001 }, 'page_size'],
  ['a token of nobody', { pageToken: 'nonsense' }, 'page_token'],
])('a request with %s is refused', async (_, request, field) => {
  await start();
  await expect(unary(client.listDownloads.bind(client), request, { deadlineMs: 5_000 })).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining(field),
  });
});

it('without records the service says so', async () => {
  await start({ RECORDS__ENABLE: 'false' });
  await sourcePeer(await cluster.host('one'));
  await expect(list()).rejects.toMatchObject({ code: 'failed-precondition' });
});

it('a disk that takes no records does not hold up downloads', async () => {
  await start({ RECORDS__DIR: '/dev/null/records' });
  await sourcePeer(await cluster.host('one'));
  await expect(list()).resolves.toMatchObject({ downloads: [] });
});
