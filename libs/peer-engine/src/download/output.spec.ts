import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { crc32 } from '@dragonfly/vortex';
import { OutputWriter } from './output.js';
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
