import { readdirSync, rmSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { Content, CountingOrigin, waitFor, type TempDir } from '@dragonfly/testkit';
import type { TestDaemon, TestDaemonOptions } from './test-daemon.js';
import { TestNetwork } from './test-network.js';
import { TestScheduler } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const CONTENT = new Content(20 * MIB);

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

describe('requests for one task', () => {
  it('share one download', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 20 * MIB });
    const a = await daemon('a');
    const all = await Promise.all([1, 2, 3, 4].map((number) => a.get({ url, output: dir.file(`${number}.out`) })));
    expect(all.map(({ contentLength }) => contentLength)).toEqual([1, 2, 3, 4].map(() => CONTENT.lengthBytes));
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
    expect(scheduler.peers).toHaveLength(1);
  });

  it('are each told of the whole progress', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 20 * MIB });
    const a = await daemon('a', { schedulers: [] });
    const all = await Promise.all([1, 2].map((number) => a.get({ url, output: dir.file(`${number}.out`) })));
    for (const { traffic } of all) {
      expect(traffic.fromSource + traffic.fromLocal).toBe(CONTENT.lengthBytes);
    }
  });

  it('survive the cancelling of the one that began', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 8 * MIB });
    const a = await daemon('a');
    const impatient = new AbortController();
    const first = a.get({ url, output: dir.file('1.out') }, impatient.signal);
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the first bytes', intervalMs: 5 });
    const second = a.get({ url, output: dir.file('2.out') });
    await waitFor(async () => (await concurrentDownloads(a)) === 2, { what: 'the second request', intervalMs: 5 });
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(second).resolves.toMatchObject({ contentLength: CONTENT.lengthBytes });
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
    await expect(stat(dir.file('1.out'))).rejects.toThrow('ENOENT');
  });

  it('stop the download when the last has gone, and tell the scheduler', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 4 * MIB });
    const a = await daemon('a');
    const impatient = new AbortController();
    const only = a.get({ url, output: dir.file('1.out') }, impatient.signal);
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the first bytes', intervalMs: 5 });
    impatient.abort();
    await expect(only).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor(() => scheduler.peers[0]?.end === 'failed', { what: 'the goodbye' });
    const sent = origin.bodyBytesSent('/file');
    expect(sent).toBeLessThan(CONTENT.lengthBytes);
  });

  it('with wrong credentials do not spoil it for one with the right ones', async () => {
    const url = origin.put('/file', { content: CONTENT, status: 403 });
    const a = await daemon('a', { schedulers: [] });
    await expect(a.get({ url, output: dir.file('1.out') })).rejects.toMatchObject({ code: 'origin' });
    origin.put('/file', CONTENT);
    await expect(a.get({ url, output: dir.file('1.out') })).resolves.toMatchObject({
      contentLength: CONTENT.lengthBytes,
    });
  });

  it('end after their own timeout', async () => {
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: MIB });
    const a = await daemon('a', { schedulers: [] });
    await expect(a.get({ url, output: dir.file('1.out'), timeoutMs: 300 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
  });

  it('begin again together, and once, when the content changes under them', async () => {
    const before = new Content(20 * MIB, 1);
    const after = new Content(20 * MIB, 2);
    const url = origin.put('/file', { content: before, headers: { etag: '"1"' }, bytesPerSecond: 8 * MIB });
    const settings = { DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '1' };
    const a = await daemon('a', { schedulers: [], settings });
    const range = { start: 12 * MIB, length: 8 * MIB };
    const downloads = [
      a.get({ url, output: dir.file('1.out') }),
      a.get({ url, output: dir.file('2.out') }),
      // With other headers it is an attempt of its own that notices, or is told.
      a.get({ url, output: dir.file('3.out'), headers: { 'x-other': '1' }, range }),
    ];
    await waitFor(async () => (await concurrentDownloads(a)) === 3, { what: 'all requests', intervalMs: 5 });
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the first bytes', intervalMs: 5 });
    origin.put('/file', { content: after, headers: { etag: '"2"' } });
    await Promise.all(downloads);
    const part = after.slice(range.start, range.start + range.length);
    expect((await readFile(dir.file('1.out'))).equals(after.slice())).toBe(true);
    expect((await readFile(dir.file('2.out'))).equals(after.slice())).toBe(true);
    expect((await readFile(dir.file('3.out'))).equals(part)).toBe(true);
    const whole = origin.requestsOf('/file').filter(({ method, status }) => method === 'GET' && status === 200);
    expect(whole).toHaveLength(1);
  });

  it('go as fast as the fastest of them may, whoever began', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const slow = a.get({ url, output: dir.file('1.out'), rateLimitBytesPerSecond: MIB });
    await waitFor(() => origin.bodyBytesSent('/file') > 0, { what: 'the first bytes', intervalMs: 5 });
    const startedAt = performance.now();
    await a.get({ url, output: dir.file('2.out') });
    // At 1 MiB a second the five pieces take 20 s.
    expect(performance.now() - startedAt).toBeLessThan(8000);
    await slow;
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('go back to the slower rate when the faster one has gone', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const slow = new AbortController();
    const first = a.get({ url, output: dir.file('1.out'), rateLimitBytesPerSecond: 4 * MIB }, slow.signal);
    const fast = new AbortController();
    const second = a.get({ url, output: dir.file('2.out'), rateLimitBytesPerSecond: 8 * MIB }, fast.signal);
    await waitFor(async () => (await concurrentDownloads(a)) === 2, { what: 'both requests', intervalMs: 5 });
    const startedAt = performance.now();
    fast.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    await first;
    // The first piece, or two, may have passed by then.
    expect(performance.now() - startedAt).toBeGreaterThan(2000);
  });

  it('may have a rate of their own', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const startedAt = performance.now();
    await a.get({ url, output: dir.file('1.out'), rateLimitBytesPerSecond: 16 * MIB });
    expect(performance.now() - startedAt).toBeGreaterThan(900);
  });
});

async function concurrentDownloads(of: TestDaemon): Promise<number> {
  const text = await of.engine.metrics.registry.metrics();
  return Number(/^dragonfly_client_concurrent_download_task_total (\d+)/m.exec(text)?.[1] ?? 0);
}

describe('outputs', () => {
  it('that exist are refused before anything is fetched, unless they may be replaced', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    await writeFile(dir.file('out'), 'mine');
    const request = { url, output: dir.file('out') };
    await expect(a.get({ ...request, overwrite: false })).rejects.toMatchObject({ code: 'already-exists' });
    expect(origin.requests).toEqual([]);
    expect(await readFile(dir.file('out'), 'utf8')).toBe('mine');
    await a.get({ ...request, overwrite: true });
    expect((await stat(dir.file('out'))).size).toBe(CONTENT.lengthBytes);
  });

  it('come from the origin again when somebody has emptied the store', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    await a.get({ url, output: dir.file('first') });
    const [data] = readdirSync(dir.path, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('/data/standard'),
    );
    if (data === undefined) throw new Error('the store has no data');
    rmSync(dir.file(data), { recursive: true });
    const done = await a.get({ url, output: dir.file('second') });
    expect((await stat(dir.file('second'))).size).toBe(CONTENT.lengthBytes);
    expect(done.traffic.fromSource).toBe(CONTENT.lengthBytes);
  });

  it('with the wrong digest do not appear, and the content is fetched anew next time', async () => {
    const url = origin.put('/file', CONTENT);
    const a = await daemon('a', { schedulers: [] });
    const wrong = `sha256:${'0'.repeat(64)}`;
    await expect(a.get({ url, output: dir.file('out'), digest: wrong })).rejects.toMatchObject({ code: 'data-loss' });
    await expect(stat(dir.file('out'))).rejects.toThrow('ENOENT');
    await a.get({ url, output: dir.file('out'), digest: `sha256:${CONTENT.sha256()}` });
    expect(origin.bodyBytesSent('/file')).toBe(2 * CONTENT.lengthBytes);
  });

  it.each([
    ['request.digest: must be', { digest: 'md5:1' }],
    ['url', { url: 'no-url' }],
    ['must be one of', { url: 'gopher://host/file' }],
  ])('are refused with "%s"', async (message, request) => {
    const a = await daemon('a', { schedulers: [] });
    const url = origin.put('/file', CONTENT);
    await expect(a.get({ url, output: dir.file('out'), ...request })).rejects.toThrow(message);
    await expect(a.get({ url, output: dir.file('out'), ...request })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});

describe('an on-demand daemon', () => {
  it('leaves after its alive time without work (seed 002-52)', async () => {
    // So slow that it takes longer than the alive time.
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: MIB });
    // Each time that the daemon was idle: how much of the file had been read by then.
    const readWhenIdle: number[] = [];
    const a = await daemon('a', {
      schedulers: [],
      settings: { DRAGONFLY_ALIVE_TIME: '500ms' },
      onIdle: () => {
        readWhenIdle.push(origin.bodyBytesSent('/file'));
      },
    });
    const startedAtMs = performance.now();
    await a.get({ url, output: dir.file('1.out') });
    expect(performance.now() - startedAtMs).toBeGreaterThan(500);
    await waitFor(() => readWhenIdle.includes(CONTENT.lengthBytes), { what: 'the end of the alive time' });
    expect(readWhenIdle.filter((bytes) => bytes > 0 && bytes < CONTENT.lengthBytes)).toEqual([]);
  });
});
