import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { commonV2 } from '@dragonfly/proto';
import { Content, CountingOrigin, waitFor, type TempDir } from '@dragonfly/testkit';
import { PEER_PROFILE, SEED_PROFILE } from '../src/index.js';
import type { TestDaemon, TestDaemonOptions } from './test-daemon.js';
import { TestNetwork } from './test-network.js';
import { TestScheduler } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const CONTENT = new Content(25 * MIB + 123);

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

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('one file, several peers', () => {
  it('leaves the origin once, whoever asks (seed 001-6)', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a');
    const b = await daemon('b');
    const c = await daemon('c');
    const first = await a.get({ url, output: dir.file('a.out') });
    const rest = await Promise.all([b, c].map((peer, i) => peer.get({ url, output: dir.file(`${i}.out`) })));
    expect(first.traffic).toMatchObject({ fromSource: CONTENT.lengthBytes, fromPeers: 0 });
    for (const done of rest) expect(done.traffic).toMatchObject({ fromSource: 0, fromPeers: CONTENT.lengthBytes });
    for (const file of ['a.out', '0.out', '1.out']) expect(await sha256Of(dir.file(file))).toBe(CONTENT.sha256());
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('serves pieces while it downloads itself', async () => {
    const url = origin.put('/slow', { content: CONTENT, bytesPerSecond: 3 * MIB });
    const a = await daemon('a', { settings: { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '2' } });
    const b = await daemon('b');
    const [one, two] = await Promise.all([
      a.get({ url, output: dir.file('a.out') }),
      (async () => {
        // Not before the first is registered, so that it is the parent.
        await waitFor(() => scheduler.peers.length > 0, { what: 'the first registration', intervalMs: 5 });
        return b.get({ url, output: dir.file('b.out') });
      })(),
    ]);
    expect(one.traffic.fromSource).toBe(CONTENT.lengthBytes);
    expect(two.traffic.fromPeers).toBe(CONTENT.lengthBytes);
    expect(origin.bodyBytesSent('/slow')).toBe(CONTENT.lengthBytes);
  });

  it('reports to the scheduler in the order of the protocol', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a');
    const b = await daemon('b');
    await a.get({ url, output: dir.file('a.out') });
    await b.get({ url, output: dir.file('b.out') });
    const [source, child] = scheduler.peers;
    const pieces = Math.ceil(CONTENT.lengthBytes / (4 * MIB));
    expect(source?.reports.map((report) => report.$case)).toEqual([
      'registerPeerRequest',
      'downloadPeerBackToSourceStartedRequest',
      ...Array.from({ length: pieces }, () => 'downloadPieceBackToSourceFinishedRequest'),
      'downloadPeerBackToSourceFinishedRequest',
    ]);
    expect(child?.reports.map((report) => report.$case)).toEqual([
      'registerPeerRequest',
      'downloadPeerStartedRequest',
      ...Array.from({ length: pieces }, () => 'downloadPieceFinishedRequest'),
      'downloadPeerFinishedRequest',
    ]);
    const [register] = scheduler.reportsOf(b.hostId, 'registerPeerRequest');
    expect(register?.download).toMatchObject({
      actualContentLength: BigInt(CONTENT.lengthBytes),
      actualPieceLength: BigInt(4 * MIB),
      actualPieceCount: BigInt(pieces),
      concurrentPieceCount: 8,
      schedulingPolicy: 1,
      outputPath: undefined,
    });
    const [piece] = scheduler.reportsOf(b.hostId, 'downloadPieceFinishedRequest');
    expect(piece?.piece).toMatchObject({ parentId: source?.peerId, trafficType: 1 });
    expect(piece?.piece?.digest).toMatch(/^crc32:\d+$/);
    expect(piece?.piece?.cost).toBeDefined();
    expect(piece?.piece?.createdAt).toBeInstanceOf(Date);
  });
});

describe('a finished task', () => {
  it('is answered from the store without a word to anybody (seed 001-10, 002-54)', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a');
    await a.get({ url, output: dir.file('1.out') });
    const requests = origin.requests.length;
    const conversations = scheduler.peers.length;
    await scheduler.stop();
    const done = await a.get({ url, output: dir.file('2.out') });
    expect(done.traffic).toEqual({ fromLocal: CONTENT.lengthBytes, fromSource: 0, fromPeers: 0, fromSeed: 0 });
    expect(origin.requests).toHaveLength(requests);
    expect(scheduler.peers).toHaveLength(conversations);
    expect((await stat(dir.file('1.out'))).ino).toBe((await stat(dir.file('2.out'))).ino);
  });

  it('survives a restart, and an unfinished one goes on where it stopped', async () => {
    const url = origin.put('/file', { content: CONTENT, breakAfterBytes: 2 * MIB });
    const settings = { DRAGONFLY_BACKEND__MAX_RETRIES: '0' };
    const a = await daemon('a', { schedulers: [], settings });
    // Every connection breaks after half a piece: the pieces still come, each in two requests.
    const whole = await a.get({ url, output: dir.file('1.out') });
    expect(whole.contentLength).toBe(CONTENT.lengthBytes);
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
    await a.stop();
    const again = await daemon('a', { schedulers: [], settings });
    const done = await again.get({ url, output: dir.file('2.out') });
    expect(done.traffic.fromLocal).toBe(CONTENT.lengthBytes);
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('fetches only what a stopped download had not stored', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 4 * MIB });
    const settings = { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '1' };
    const a = await daemon('a', { schedulers: [], settings });
    const cancelled = new AbortController();
    const task = a.get({ url, output: dir.file('1.out') }, cancelled.signal);
    await waitForBytes('/file', 9 * MIB);
    cancelled.abort();
    await expect(task).rejects.toMatchObject({ code: 'cancelled' });
    await a.stop();
    origin.put('/file', CONTENT);
    const again = await daemon('a', { schedulers: [], settings });
    const done = await again.get({ url, output: dir.file('2.out') });
    expect(done.traffic.fromLocal).toBeGreaterThanOrEqual(8 * MIB);
    expect(done.traffic.fromLocal + done.traffic.fromSource).toBe(CONTENT.lengthBytes);
    expect(await sha256Of(dir.file('2.out'))).toBe(CONTENT.sha256());
  });

  it('tells the scheduler what a stopped download had stored, before anything new comes', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 4 * MIB });
    const settings = { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '1' };
    const a = await daemon('a', { settings });
    const cancelled = new AbortController();
    const stopped = a.get({ url, output: dir.file('1.out') }, cancelled.signal);
    await waitForBytes('/file', 9 * MIB);
    cancelled.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    await a.stop();
    const earlier = scheduler.peers.length;
    const again = await daemon('a', { settings });
    // From now on the origin sends nothing: what is told is what was stored.
    origin.put('/file', { content: CONTENT, stallAfterBytes: 0 });
    const stalled = new AbortController();
    const second = again.get({ url, output: dir.file('2.out') }, stalled.signal);
    const reports = await waitFor(
      () => (scheduler.peers[earlier]?.reports.length ?? 0) >= 4 && scheduler.peers[earlier]?.reports,
      {
        what: 'reports of the pieces that were stored',
        timeoutMs: 20_000,
        intervalMs: 5,
      },
    );
    expect(reports.map((report) => report.$case)).toEqual([
      'registerPeerRequest',
      'downloadPeerBackToSourceStartedRequest',
      'downloadPieceFinishedRequest',
      'downloadPieceFinishedRequest',
    ]);
    const told = scheduler
      .reportsOf(again.hostId, 'downloadPieceFinishedRequest')
      .map(({ piece }) => ({ number: piece?.number, trafficType: piece?.trafficType, parentId: piece?.parentId }));
    expect(told).toEqual(
      [0, 1].map((number) => ({ number, trafficType: commonV2.TrafficType.LOCAL_PEER, parentId: undefined })),
    );
    stalled.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
  });
});

async function waitForBytes(path: string, bytes: number): Promise<void> {
  await waitFor(() => origin.bodyBytesSent(path) >= bytes, {
    what: `${bytes} bytes from the origin`,
    timeoutMs: 20_000,
    intervalMs: 5,
  });
}

describe('origins', () => {
  it.each([
    ['without ranges', { ranges: false }],
    ['without ranges and length', { ranges: false, unknownLength: true }],
    ['without length', { unknownLength: true }],
  ])('%s are read once for two peers', async (_, behaviour) => {
    const url = origin.put('/odd', { content: CONTENT, ...behaviour });
    const a = await daemon('a');
    const b = await daemon('b');
    await a.get({ url, output: dir.file('a.out') });
    const done = await b.get({ url, output: dir.file('b.out') });
    expect(done.traffic.fromPeers).toBe(CONTENT.lengthBytes);
    expect(await sha256Of(dir.file('b.out'))).toBe(CONTENT.sha256());
    // One byte may go to a ranged question for the length.
    expect(origin.bodyBytesSent('/odd') - CONTENT.lengthBytes).toBeLessThanOrEqual(2);
  });

  it('of unknown length may end exactly at a piece border', async () => {
    const content = new Content(8 * MIB);
    const url = origin.put('/odd', { content, ranges: false, unknownLength: true });
    const a = await daemon('a', { schedulers: [] });
    const done = await a.get({ url, output: dir.file('a.out') });
    expect(done.contentLength).toBe(8 * MIB);
    expect(await sha256Of(dir.file('a.out'))).toBe(content.sha256());
  });

  it.each([
    ['empty', 0],
    ['one byte', 1],
    ['exactly one piece', 4 * MIB],
    ['one piece and a byte', 4 * MIB + 1],
  ])('with a content of %s are copied to the byte', async (_, lengthBytes) => {
    const content = new Content(lengthBytes);
    const url = origin.put('/size', content);
    const a = await daemon('a');
    const b = await daemon('b');
    for (const peer of [a, b]) {
      const done = await peer.get({ url, output: dir.file('size.out'), schedulingPolicy: 'always' });
      expect(done.contentLength).toBe(lengthBytes);
      expect(await sha256Of(dir.file('size.out'))).toBe(content.sha256());
    }
    expect(origin.bodyBytesSent('/size')).toBe(lengthBytes);
  });

  it('that refuse are told with status and headers', async () => {
    const url = origin.put('/gone', { content: CONTENT, status: 404, headers: { 'x-reason': 'deleted' } });
    const a = await daemon('a');
    await expect(a.get({ url, output: dir.file('a.out') })).rejects.toMatchObject({
      code: 'origin',
      details: { statusCode: 404, headers: { 'x-reason': 'deleted' } },
    });
    await expect(stat(dir.file('a.out'))).rejects.toThrow('ENOENT');
  });

  it('whose content changed between two pieces are begun again, never mixed', async () => {
    const before = new Content(12 * MIB, 1);
    const after = new Content(12 * MIB, 2);
    const url = origin.put('/file', { content: before, headers: { etag: '"1"' }, bytesPerSecond: 6 * MIB });
    const settings = { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '1' };
    const a = await daemon('a', { schedulers: [], settings });
    const cancelled = new AbortController();
    const task = a.get({ url, output: dir.file('1.out') }, cancelled.signal);
    await waitForBytes('/file', 5 * MIB);
    cancelled.abort();
    await expect(task).rejects.toMatchObject({ code: 'cancelled' });
    origin.put('/file', { content: after, headers: { etag: '"2"' } });
    await a.get({ url, output: dir.file('2.out') });
    expect(await sha256Of(dir.file('2.out'))).toBe(after.sha256());
  });

  it('whose servers disagree about the version are read as one stream', async () => {
    let count = 0;
    const url = origin.put('/file', {
      content: CONTENT,
      headers: {
        get etag() {
          count += 1;
          return `"${count}"`;
        },
      },
    });
    const a = await daemon('a');
    await a.get({ url, output: dir.file('a.out') });
    expect(await sha256Of(dir.file('a.out'))).toBe(CONTENT.sha256());
    const whole = origin.requestsOf('/file').filter(({ status, method }) => method === 'GET' && status === 200);
    expect(whole).toHaveLength(1);
  });
});

describe('a range', () => {
  it('fetches the pieces it touches and gives exactly its bytes', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a');
    const range = { start: 4 * MIB - 10, length: 20 };
    const done = await a.get({ url, output: dir.file('r.out'), range });
    expect(await readFile(dir.file('r.out'))).toEqual(CONTENT.slice(range.start, range.start + 20));
    expect(done.contentLength).toBe(20);
    expect(origin.bodyBytesSent('/file')).toBe(8 * MIB);
    // The rest comes when it is asked for, and nothing comes twice.
    const whole = await a.get({ url, output: dir.file('w.out') });
    expect(whole.traffic.fromLocal).toBe(8 * MIB);
    expect(await sha256Of(dir.file('w.out'))).toBe(CONTENT.sha256());
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('outside of the content is refused', async () => {
    const url = origin.put('/file', new Content(100));
    const a = await daemon('a', { schedulers: [] });
    const request = { url, output: dir.file('r.out'), range: { start: 100, length: 1 } };
    await expect(a.get(request)).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});

describe.each([PEER_PROFILE, SEED_PROFILE])('in the role $name', (profile) => {
  it('announces itself with its type, serves a child and leaves', async () => {
    const url = origin.put('/file', CONTENT);
    const parent = await daemon('parent', { profile });
    const child = await daemon('child');
    expect(scheduler.hosts.get(parent.hostId)).toMatchObject({
      type: profile.hostType,
      port: parent.uploadPort,
      downloadPort: parent.uploadPort,
    });
    expect(parent.hostId).toBe(`127.0.0.1-parent${profile.isSeed ? '-seed' : ''}`);
    await parent.get({ url, output: dir.file('p.out') });
    const done = await child.get({ url, output: dir.file('c.out') });
    expect(done.traffic).toMatchObject(
      profile.isSeed ? { fromSeed: CONTENT.lengthBytes } : { fromPeers: CONTENT.lengthBytes },
    );
    await parent.stop();
    expect(scheduler.hosts.has(parent.hostId)).toBe(false);
  });
});
