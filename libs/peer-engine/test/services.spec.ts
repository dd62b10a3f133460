import { readFile, stat, writeFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { taskIdOfUrl } from '@dragonfly/ids';
import { commonV2, dfdaemonV2, type Empty } from '@dragonfly/proto';
import { readStream, unary } from '@dragonfly/rpc';
import { Content, CountingOrigin, waitFor, type TempDir } from '@dragonfly/testkit';
import { crc32 } from '@dragonfly/vortex';
import { SEED_PROFILE } from '../src/index.js';
import type { TestDaemon, TestDaemonOptions } from './test-daemon.js';
import { TestNetwork } from './test-network.js';
import { TestScheduler } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const CONTENT = new Content(2 * PIECE + 10);
const DEADLINE = { deadlineMs: 10_000 };

let network: TestNetwork;
let dir: TempDir;
let origin: CountingOrigin;
let scheduler: TestScheduler;

beforeEach(async () => {
  network = await TestNetwork.start();
  ({ dir, origin, scheduler } = network);
});

afterEach(() => network.stop());

const daemon = (name: string, options?: Partial<TestDaemonOptions>): Promise<TestDaemon> =>
  network.daemon(name, options);

function downloads(of: TestDaemon): dfdaemonV2.DfdaemonDownloadClient {
  const client = of.downloadClient();
  network.closeAfterwards(() => client.close());
  return client;
}

function uploads(of: TestDaemon): dfdaemonV2.DfdaemonUploadClient {
  const client = of.uploadClient();
  network.closeAfterwards(() => client.close());
  return client;
}

function aDownload(fields: Partial<commonV2.Download>): dfdaemonV2.DownloadTaskRequest {
  return { download: { ...commonV2.Download.fromPartial({}), ...fields } };
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

describe('DownloadTask on the unix socket', () => {
  it('tells of the task, then of each piece, then makes the output', async () => {
    const url = origin.put('/file', { content: CONTENT, headers: { 'x-origin': 'yes' } });
    const a = await daemon('a');
    const client = downloads(a);
    const outputPath = dir.file('out');
    const messages = await collect(
      readStream<dfdaemonV2.DownloadTaskResponse>(client.downloadTask(aDownload({ url, outputPath }))),
    );
    const [started, ...pieces] = messages;
    const taskId = taskIdOfUrl({ url });
    expect(started).toMatchObject({ hostId: a.hostId, taskId });
    expect(started?.peerId).toMatch(/^127\.0\.0\.1-a-/);
    if (started?.response?.$case !== 'downloadTaskStartedResponse') throw new Error('the first message is started');
    const { value } = started.response;
    expect(value).toMatchObject({ contentLength: BigInt(CONTENT.lengthBytes), isFinished: false });
    expect(value.responseHeader).toMatchObject({ 'x-origin': 'yes', 'content-length': String(CONTENT.lengthBytes) });
    expect(value.pieces.map((piece) => [piece.number, Number(piece.offset), Number(piece.length)])).toEqual([
      [0, 0, PIECE],
      [1, PIECE, PIECE],
      [2, 2 * PIECE, 10],
    ]);
    const numbers = pieces.map(({ response }) => {
      if (response?.$case !== 'downloadPieceFinishedResponse') throw new Error('the others are pieces');
      const { piece } = response.value;
      expect(piece).toMatchObject({ trafficType: commonV2.TrafficType.BACK_TO_SOURCE, parentId: undefined });
      expect(piece?.content).toBeUndefined();
      return piece?.number ?? -1;
    });
    expect(numbers.sort()).toEqual([0, 1, 2]);
    expect((await readFile(outputPath)).equals(CONTENT.slice())).toBe(true);
  });

  it('carries the bytes when they are asked for', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const client = downloads(a);
    const content = Buffer.alloc(CONTENT.lengthBytes);
    const call = client.downloadTask(aDownload({ url, needPieceContent: true }));
    for await (const { response } of readStream<dfdaemonV2.DownloadTaskResponse>(call)) {
      if (response?.$case !== 'downloadPieceFinishedResponse') continue;
      const { piece } = response.value;
      piece?.content?.copy(content, Number(piece.offset));
      expect(piece?.digest).toBe(`crc32:${crc32(piece?.content ?? Buffer.alloc(0))}`);
    }
    expect(content.equals(CONTENT.slice())).toBe(true);
  });

  it('marks a finished task and its local pieces', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const client = downloads(a);
    await collect(readStream(client.downloadTask(aDownload({ url }))));
    const again = await collect(readStream<dfdaemonV2.DownloadTaskResponse>(client.downloadTask(aDownload({ url }))));
    expect(again[0]?.response).toMatchObject({ value: { isFinished: true } });
    expect(again.slice(1).map(({ response }) => response)).toMatchObject(
      [0, 1, 2].map((number) => ({ value: { piece: { number, trafficType: commonV2.TrafficType.LOCAL_PEER } } })),
    );
  });

  it('answers an empty content with no pieces', async () => {
    const url = origin.put('/empty', Buffer.alloc(0));
    const a = await daemon('a');
    const messages = await collect(
      readStream<dfdaemonV2.DownloadTaskResponse>(downloads(a).downloadTask(aDownload({ url }))),
    );
    expect(messages).toMatchObject([{ response: { value: { contentLength: 0n, pieces: [] } } }]);
  });

  it('tells what the origin answered in the details of the status', async () => {
    const url = origin.put('/gone', { content: CONTENT, status: 404, headers: { 'x-why': 'gone' } });
    const a = await daemon('a');
    const call = downloads(a).downloadTask(aDownload({ url }));
    const failed = await new Promise<ServiceError>((resolve) => {
      call.on('error', (error: ServiceError) => resolve(error)).resume();
    });
    expect(failed.code).toBe(13);
    const [details] = failed.metadata.get('grpc-status-details-bin');
    expect(JSON.parse(String(details))).toMatchObject({ status_code: 404, header: { 'x-why': 'gone' } });
  });

  it('takes the range from the header when the field is unset', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const call = downloads(a).downloadTask(aDownload({ url, requestHeader: { Range: `bytes=${PIECE}-${PIECE}` } }));
    const messages = await collect(readStream<dfdaemonV2.DownloadTaskResponse>(call));
    expect(messages[0]?.response).toMatchObject({
      value: { range: { start: BigInt(PIECE), length: 1n }, pieces: [{ number: 1 }] },
    });
    expect(origin.bodyBytesSent('/file')).toBe(PIECE);
  });

  it.each([
    [{ requestHeader: { range: 'lines=1-2' } }, 'failed-precondition'],
    [{ url: 'not a url' }, 'invalid-argument'],
    [{ digest: 'nonsense' }, 'invalid-argument'],
    [{ pieceLength: 5n }, 'invalid-argument'],
  ])('refuses %j', async (fields, code) => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const call = downloads(a).downloadTask(aDownload({ url, ...fields }));
    await expect(collect(readStream(call))).rejects.toMatchObject({ code });
  });

  it('refuses what the cluster blocks', async () => {
    const file = dir.file('dynconfig.yaml');
    await writeFile(
      file,
      `scheduler: {addrs: ["${scheduler.address}"]}
clientConfig: {block_list: {task: {download: {applications: [bad], urls: ['secret']}}}}
`,
    );
    const a = await daemon('a', { schedulers: [], settings: { DRAGONFLY_DYNCONFIG__PATH: file } });
    const client = downloads(a);
    const url = origin.put('/file', CONTENT);
    const blocked = [{ url, application: 'bad' }, { url: `${url}?secret` }];
    for (const fields of blocked) {
      const call = client.downloadTask(aDownload(fields));
      await expect(collect(readStream(call))).rejects.toMatchObject({ code: 'permission-denied' });
    }
    await expect(collect(readStream(client.downloadTask(aDownload({ url }))))).resolves.not.toHaveLength(0);
  });
});

describe('the local tasks', () => {
  it('are told, listed and deleted', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a');
    const client = downloads(a);
    await a.get({ url });
    const taskId = taskIdOfUrl({ url });
    const told = await unary(client.statLocalTask.bind(client), { taskId }, DEADLINE);
    expect(told).toMatchObject({ taskId, contentLength: BigInt(CONTENT.lengthBytes), pieceLength: BigInt(PIECE) });
    expect(told.finishedAt).toBeInstanceOf(Date);
    const { tasks } = await unary<dfdaemonV2.ListLocalTasksRequest, dfdaemonV2.ListLocalTasksResponse>(
      client.listLocalTasks.bind(client),
      {},
      DEADLINE,
    );
    expect(tasks.map((task) => task.taskId)).toEqual([taskId]);
    await unary<dfdaemonV2.DeleteTaskRequest, Empty>(client.deleteTask.bind(client), { taskId }, DEADLINE);
    expect(scheduler.deletedTasks).toEqual([taskId]);
    await expect(unary(client.statLocalTask.bind(client), { taskId }, DEADLINE)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(
      unary<dfdaemonV2.DeleteLocalTaskRequest, Empty>(client.deleteLocalTask.bind(client), { taskId }, DEADLINE),
    ).rejects.toMatchObject({ code: 'not-found' });
  });

  it('can be deleted while they are downloaded', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: MIB });
    const a = await daemon('a');
    const client = downloads(a);
    const download = a.get({ url });
    await waitFor(() => origin.bodyBytesSent('/file') > 0, { what: 'the first bytes', intervalMs: 5 });
    const taskId = taskIdOfUrl({ url });
    const [, deleted] = await Promise.allSettled([
      download,
      unary<dfdaemonV2.DeleteLocalTaskRequest, Empty>(client.deleteLocalTask.bind(client), { taskId }, DEADLINE),
    ]);
    await expect(download).rejects.toMatchObject({ code: 'cancelled' });
    expect(deleted.status).toBe('fulfilled');
  });

  it('cannot be listed at the origin, and persistent ones are not offered', async () => {
    const a = await daemon('a', { schedulers: [] });
    const client = downloads(a);
    await expect(
      unary(client.listTaskEntries.bind(client), { taskId: 't', url: 'http://origin/dir/' }, DEADLINE),
    ).rejects.toMatchObject({ code: 'unimplemented' });
    await expect(unary(client.statPersistentTask.bind(client), { taskId: 't' }, DEADLINE)).rejects.toMatchObject({
      code: 'unimplemented',
    });
  });
});

describe('SyncPieces', () => {
  it('tells finished pieces at once and the others as they come, whatever timeout the child names', async () => {
    const url = origin.put('/slow', { content: CONTENT, bytesPerSecond: 4 * MIB });
    const a = await daemon('a', { settings: { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '1' } });
    const client = uploads(a);
    const download = a.get({ url });
    const taskId = taskIdOfUrl({ url });
    await waitFor(() => origin.bodyBytesSent('/slow') > 0, { what: 'the first bytes', intervalMs: 5 });
    const metadata = new Metadata();
    // A Rust child names its header timeout; the stream must outlive it.
    metadata.set('grpc-timeout', '500m');
    const call = client.syncPieces({ hostId: 'child', taskId, interestedPieceNumbers: [2, 0, 1] }, metadata);
    const told = await collect(readStream<dfdaemonV2.SyncPiecesResponse>(call));
    expect(told.map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(told[0]).toMatchObject({ ip: '127.0.0.1', tcpPort: a.engine.piecePort, length: BigInt(PIECE) });
    await download;
  });

  it('ends when the rest will not come', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    await a.get({ url, range: { start: 0, length: 1 } });
    const call = uploads(a).syncPieces({
      hostId: 'child',
      taskId: taskIdOfUrl({ url }),
      interestedPieceNumbers: [0, 1, 2],
    });
    expect(await collect(readStream<dfdaemonV2.SyncPiecesResponse>(call))).toMatchObject([{ number: 0 }]);
  });

  it('refuses children that have begun another version of the content, and takes those that tell none', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    await a.get({ url });
    const request = { hostId: 'c', taskId: taskIdOfUrl({ url }), interestedPieceNumbers: [0] };
    const ask = async (version?: string): Promise<unknown> => {
      const metadata = new Metadata();
      if (version !== undefined) metadata.set('x-dragonfly-content-version', version);
      return collect(readStream(uploads(a).syncPieces(request, metadata)));
    };
    await expect(ask('0123456789abcdef')).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await ask()).toMatchObject([{ number: 0 }]);
  });

  it('refuses unknown tasks and empty questions', async () => {
    const a = await daemon('a', { schedulers: [] });
    const client = uploads(a);
    await expect(
      collect(readStream(client.syncPieces({ hostId: 'c', taskId: 'none', interestedPieceNumbers: [1] }))),
    ).rejects.toMatchObject({ code: 'not-found' });
    await expect(
      collect(readStream(client.syncPieces({ hostId: 'c', taskId: 'none', interestedPieceNumbers: [] }))),
    ).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('SyncHost', () => {
  it('sends a bandwidth sample every second', async () => {
    const a = await daemon('a', { schedulers: [] });
    const samples: commonV2.Host[] = [];
    for await (const sample of readStream<commonV2.Host>(uploads(a).syncHost({ hostId: 'c', peerId: 'p' }))) {
      samples.push(sample);
      if (samples.length === 2) break;
    }
    for (const { network } of samples) expect(network?.maxTxBandwidth).toBeGreaterThan(0n);
  });
});

describe.each([
  ['peer', undefined],
  ['seed peer', SEED_PROFILE],
])('a trigger of the scheduler at a %s', (_, profile) => {
  it('brings the content from the source and reports it', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', profile === undefined ? {} : { profile });
    const call = uploads(a).downloadTask(
      aDownload({ url, needBackToSource: true, outputPath: dir.file('written-by-a-stranger') }),
    );
    const messages = await collect(readStream(call));
    expect(messages).toHaveLength(4);
    const [register] = scheduler.reportsOf(a.hostId, 'registerPeerRequest');
    expect(register?.download).toMatchObject({ needBackToSource: true, schedulingPolicy: 1 });
    expect(scheduler.peers[0]?.end).toBe('finished');
    await expect(stat(dir.file('written-by-a-stranger'))).rejects.toThrow('ENOENT');
  });

  it('of a finished task announces it and sends nothing', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', profile === undefined ? {} : { profile });
    await a.get({ url });
    const messages = await collect(readStream(uploads(a).downloadTask(aDownload({ url, needBackToSource: true }))));
    expect(messages).toEqual([]);
    const [, announced] = scheduler.peers;
    expect(announced?.reports.map(({ $case }) => $case)).toEqual([
      'registerPeerRequest',
      'downloadPeerStartedRequest',
      'downloadPeerFinishedRequest',
    ]);
  });
});

describe('a trigger that is abandoned', () => {
  it('is finished by a seed peer', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 8 * MIB });
    const a = await daemon('a', { profile: SEED_PROFILE });
    const call = uploads(a).downloadTask(aDownload({ url, needBackToSource: true }));
    call.on('error', () => {}).resume();
    await waitFor(() => origin.bodyBytesSent('/file') > 0, { what: 'the first bytes', intervalMs: 5 });
    call.cancel();
    await waitFor(() => scheduler.peers[0]?.end === 'finished', { what: 'the end' });
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('is given up by a peer', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 2 * MIB });
    const a = await daemon('a');
    const call = uploads(a).downloadTask(aDownload({ url, needBackToSource: true }));
    call.on('error', () => {}).resume();
    await waitFor(() => origin.bodyBytesSent('/file') > 0, { what: 'the first bytes', intervalMs: 5 });
    call.cancel();
    await waitFor(() => scheduler.peers[0]?.end === 'failed', { what: 'the end' });
    expect(origin.bodyBytesSent('/file')).toBeLessThan(CONTENT.lengthBytes);
  });
});
