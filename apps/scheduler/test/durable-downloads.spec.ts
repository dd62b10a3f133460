import { jest } from '@jest/globals';
import { extRecords } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { aPiece } from './support/announcements.js';
import { KindClient } from './support/durable-kinds.js';
import { TestCluster } from './support/test-cluster.js';

jest.setTimeout(20_000);

const PIECE_BYTES = 4n * 1024n * 1024n;
const { DownloadResult, SummaryGroup } = extRecords;

describe.each([
  { kind: 'persistent', taskType: 'PERSISTENT', url: 's3://bucket/task', application: '' },
  { kind: 'persistentCache', taskType: 'PERSISTENT_CACHE', url: '', application: 'app' },
] as const)('downloads of $taskType tasks', ({ kind, taskType, url, application }) => {
  let cluster: TestCluster;
  let client: extRecords.RecordServiceClient;
  let durable: KindClient;

  beforeEach(async () => {
    cluster = await TestCluster.start();
    client = createGrpcClient(extRecords.RecordServiceClient, `127.0.0.1:${cluster.app.port}`);
    durable = new KindClient(kind, cluster.client);
    const owner = { hostId: await cluster.host('owner', { type: 1 }), taskId: 'task', peerId: 'owner' };
    await durable.uploadStarted(owner);
    await durable.uploadFinished(owner);
  });
  afterEach(async () => {
    client.close();
    await cluster[Symbol.asyncDispose]();
  });

  const list = async (filter: Partial<extRecords.DownloadFilter> = {}): Promise<extRecords.DownloadRecord[]> => {
    const request = { filter: extRecords.DownloadFilter.fromPartial(filter) };
    return (await unary(client.listDownloads.bind(client), request, { deadlineMs: 5000 })).downloads;
  };

  async function child(name: string) {
    const hostId = await cluster.host(name, { network: { idc: 'far' } });
    const peer = durable.announce({ hostId, taskId: 'task', peerId: name });
    await peer.register();
    await peer.parents();
    await peer.started();
    return peer;
  }

  it('leave a record of what came from where, under the kind of their task', async () => {
    const peer = await child('child');
    await peer.pieceFailed(0, 'owner');
    for (let number = 0; number < 3; number++) await peer.piece(number, 'owner');
    await peer.finished();
    expect(await peer.end()).toBe('OK');
    const [record, ...others] = await list();
    expect(others).toEqual([]);
    expect(record).toMatchObject({
      taskId: 'task',
      peerId: 'child',
      hostname: 'child',
      taskType,
      url,
      application,
      result: DownloadResult.DOWNLOAD_RESULT_SUCCEEDED,
      contentLength: 3n * PIECE_BYTES,
      bytesFromSource: 0n,
      bytesFromPeers: 0n,
      bytesFromSeeds: 3n * PIECE_BYTES,
      bytesAcrossIdcs: 3n * PIECE_BYTES,
      pieceFailures: 1,
      parents: [{ peerId: 'owner', hostId: '127.0.0.1-owner', bytes: 3n * PIECE_BYTES, pieces: 3, failures: 1 }],
    });
    expect(await list({ taskType })).toHaveLength(1);
    expect(await list({ taskType: 'STANDARD' })).toEqual([]);
    const { summaries } = await unary(
      client.summarizeDownloads.bind(client),
      { group: SummaryGroup.SUMMARY_GROUP_TASK_TYPE, groupLimit: 0 },
      { deadlineMs: 5000 },
    );
    expect(summaries).toMatchObject([{ key: taskType, downloads: 1n, bytesFromSeeds: 3n * PIECE_BYTES }]);
  });

  it('that fail and that are broken off are told apart, with the reason', async () => {
    const failed = await child('failed');
    await failed.failed();
    await failed.end();
    const gone = await child('gone');
    gone.cancel();
    await waitFor(async () => (await list()).length === 2, { what: 'both records' });
    expect(await list()).toMatchObject([
      { peerId: 'gone', result: DownloadResult.DOWNLOAD_RESULT_ABANDONED },
      { peerId: 'failed', result: DownloadResult.DOWNLOAD_RESULT_FAILED, description: 'no pieces' },
    ]);
  });

  if (kind === 'persistent') {
    it('tell what came from the object storage from what came from peers', async () => {
      const peer = durable.announce({ hostId: await cluster.host('reader'), taskId: 'task', peerId: 'reader' });
      await peer.register({ needBackToSource: true });
      expect((await peer.answer()).kind).toBe('back-to-source');
      await peer.started();
      for (const number of [0, 1]) {
        await peer.send('downloadPieceBackToSourceFinishedRequest', { piece: aPiece(number) });
      }
      await peer.finished();
      await peer.end();
      expect(await list()).toMatchObject([{ peerId: 'reader', bytesFromSource: 2n * PIECE_BYTES, bytesFromPeers: 0n }]);
    });
  }
});
