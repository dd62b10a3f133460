import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { crc32 } from '@dragonfly/vortex';
import { isContentGone, OutputWriter } from './output.js';
import { noTraffic } from './traffic.js';
import type { DownloadResult } from './task-run.js';

const CONTENT = Buffer.from('content');
const WRONG_DIGEST = `sha256:${'0'.repeat(64)}`;
const signal = new AbortController().signal;

let dir: TempDir;
let store: PieceStore;
let task: StoredTask;
let outputs: OutputWriter;

beforeEach(async () => {
  dir = tempDir('outputs');
  store = await PieceStore.open({ directory: dir.file('store'), log: silentLogger() });
  task = await store.getOrCreate('standard', 'a'.repeat(64), {
    pieceLengthBytes: 4 * 1024 * 1024,
    contentLengthBytes: CONTENT.length,
    url: 'http://origin/file',
    filteredQueryParams: [],
  });
  const writer = task.beginPiece(0);
  if (typeof writer === 'string') throw new Error(writer);
  await writer.write(CONTENT, 0);
  await writer.commit({ lengthBytes: CONTENT.length, crc32: crc32(CONTENT), trafficType: 0, costMs: 1 });
  await task.complete();
  outputs = new OutputWriter(store);
});

afterEach(async () => {
  await store.close();
  dir.remove();
});

function fetchedJustNow(): DownloadResult {
  return { task, range: undefined, traffic: noTraffic(), isLocalHit: false };
}

describe('content with another digest than its requester expected', () => {
  it('is thrown away', async () => {
    await expect(outputs.deliver(fetchedJustNow(), WRONG_DIGEST, undefined, signal)).rejects.toMatchObject({
      code: 'data-loss',
    });
    expect(store.get('standard', task.id)).toBeUndefined();
  });

  it('stays while others use it, who may expect something else', async () => {
    const unpin = task.pin();
    await expect(outputs.deliver(fetchedJustNow(), WRONG_DIGEST, undefined, signal)).rejects.toMatchObject({
      code: 'data-loss',
    });
    unpin();
    const output = { path: dir.file('out'), overwrite: false, forceHardLink: false };
    await expect(outputs.deliver(fetchedJustNow(), undefined, output, signal)).resolves.toMatch(/linked|copied/);
  });
});

describe('requests with one digest', () => {
  const digest = `sha256:${createHash('sha256').update(CONTENT).digest('hex')}`;

  function countHashes(): { hashes: number } {
    const counter = { hashes: 0 };
    const verify = task.verify.bind(task);
    jest.spyOn(task, 'verify').mockImplementation((...given) => {
      counter.hashes += 1;
      return verify(...given);
    });
    return counter;
  }

  it('that come together are answered by one hash', async () => {
    const counter = countHashes();
    const all = [1, 2, 3, 4].map(() => outputs.deliver(fetchedJustNow(), digest, undefined, signal));
    await expect(Promise.all(all)).resolves.toEqual(['stored', 'stored', 'stored', 'stored']);
    await outputs.deliver(fetchedJustNow(), digest, undefined, signal);
    expect(counter.hashes).toBe(1);
  });

  it('do not lose it when the first of them goes away', async () => {
    const counter = countHashes();
    const impatient = new AbortController();
    const first = outputs.deliver(fetchedJustNow(), digest, undefined, impatient.signal);
    const second = outputs.deliver(fetchedJustNow(), digest, undefined, signal);
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(second).resolves.toBe('stored');
    expect(counter.hashes).toBe(1);
  });

  it('stop the hash when nobody waits for it any more', async () => {
    const seen: (AbortSignal | undefined)[] = [];
    jest.spyOn(task, 'verify').mockImplementation((_digest, own) => {
      seen.push(own);
      return new Promise((_resolve, reject) => {
        own?.addEventListener('abort', () => {
          reject(own.reason as Error);
        });
      });
    });
    const impatient = new AbortController();
    const only = outputs.deliver(fetchedJustNow(), digest, undefined, impatient.signal);
    await waitFor(() => seen.length > 0, { what: 'the hash to begin' });
    impatient.abort();
    await expect(only).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen.map((own) => own?.aborted)).toEqual([true]);
  });
});

describe('content that somebody has removed from the store', () => {
  it('is forgotten, so that the next download brings it anew', async () => {
    await rm(dir.file('store', 'data'), { recursive: true });
    const output = { path: dir.file('out'), overwrite: false, forceHardLink: false };
    const failure = await outputs.deliver(fetchedJustNow(), undefined, output, signal).catch((error: unknown) => error);
    expect(isContentGone(failure)).toBe(true);
    expect(store.get('standard', task.id)).toBeUndefined();
  });

  it('is not what a missing directory of the output is taken for', async () => {
    const output = { path: dir.file('none', 'out'), overwrite: false, forceHardLink: false };
    const failure = await outputs.deliver(fetchedJustNow(), undefined, output, signal).catch((error: unknown) => error);
    expect(isContentGone(failure)).toBe(false);
    expect(store.get('standard', task.id)).toBe(task);
  });
});
