import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import type { SourceBody } from '@dragonfly/sources';
import { silentLogger } from '@dragonfly/telemetry';
import { Content, tempDir, type TempDir } from '@dragonfly/testkit';
import { BufferPool } from '@dragonfly/vortex';
import { PiecePump } from './piece-pump.js';

const LENGTH = 300_000;
/** Most that comes at a time. */
const STEP = 30_000;
const CONTENT = new Content(LENGTH).slice();
const signal = new AbortController().signal;

let dir: TempDir;
let store: PieceStore;
let task: StoredTask;

beforeEach(async () => {
  dir = tempDir('pump');
  store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
  task = await store.getOrCreate('standard', 'a'.repeat(64), {
    pieceLengthBytes: 4 * 1024 * 1024,
    contentLengthBytes: LENGTH,
    url: 'http://origin/file',
    filteredQueryParams: [],
  });
});

afterEach(async () => {
  await store.close();
  dir.remove();
});

function aBody(): SourceBody {
  let position = 0;
  return {
    statusCode: 200,
    headers: {},
    isPartial: false,
    readInto: () => Promise.reject(new Error('not asked for')),
    async pour(receiver) {
      while (position < CONTENT.length) {
        const buffer = receiver.nextBuffer();
        if (buffer === undefined) return;
        if (!ArrayBuffer.isView(buffer)) {
          await buffer;
          continue;
        }
        const part = CONTENT.subarray(position, position + Math.min(buffer.length, STEP));
        buffer.set(part);
        position += part.length;
        receiver.received(part.length);
      }
    },
    cancel: () => {},
  };
}

describe('PiecePump', () => {
  it.each([
    ['with buffers of the pool', 2],
    ['while slow origins hold all buffers of the pool', 0],
  ])('moves a piece %s', async (_when, free) => {
    const pool = new BufferPool({ bufferBytes: 100_000, maxBuffers: 2 });
    for (let held = free; held < 2; held += 1) pool.tryAcquire();
    const writer = task.beginPiece(0);
    if (typeof writer === 'string') throw new Error(writer);
    const pump = new PiecePump(writer, pool);
    await pump.move(aBody(), LENGTH, signal);
    await pump.commit();
    await task.complete();
    await task.linkTo(dir.file('out'));
    expect(await task.digest('sha256')).toBe(new Content(LENGTH).sha256());
    expect(pool.inUse).toBe(2 - free);
  });
});
