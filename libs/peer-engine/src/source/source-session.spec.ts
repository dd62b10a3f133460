import { jest } from '@jest/globals';
import { HttpBackend, type SourceBody } from '@dragonfly/sources';
import { PieceStore, type PieceWriter } from '@dragonfly/piece-store';
import { silentLogger } from '@dragonfly/telemetry';
import { Content, CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { BufferPool } from '@dragonfly/vortex';
import { SourceSession } from './source-session.js';

const PIECE = 64 * 1024;
const CONTENT = new Content(4 * PIECE, 77);

describe('a stream of an origin without ranges', () => {
  let dir: TempDir;
  let origin: CountingOrigin;
  let store: PieceStore;
  let backend: HttpBackend;

  beforeEach(async () => {
    dir = tempDir('session');
    origin = await CountingOrigin.start();
    store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
    backend = new HttpBackend();
  });

  afterEach(async () => {
    await backend.close();
    await store.close();
    await origin.close();
    dir.remove();
  });

  it.each([
    ['is known to have none', false],
    ['promised to have them', true],
  ])('begins again for a piece that another download gave up, when the origin %s', async (_, mayUseRanges) => {
    const url = origin.put('/file', { content: CONTENT, ranges: false });
    const task = await store.getOrCreate('standard', 'streamed', {
      pieceLengthBytes: PIECE,
      contentLengthBytes: CONTENT.lengthBytes,
    });
    const other = task.beginPiece(1) as PieceWriter;
    const session = new SourceSession({
      task,
      access: { backend, request: { url } },
      mayUseRanges,
      concurrency: 2,
      maxRetries: 0,
      limiters: [],
      pool: new BufferPool({ bufferBytes: PIECE, maxBuffers: 4 }),
      onPiece: () => {},
      log: silentLogger(),
    });
    const running = session.run(task.missingPieces(), AbortSignal.timeout(10_000));
    await waitFor(() => task.pieceState(3) === 'present', { what: 'the stream to have passed' });
    other.abort();
    await running;
    expect(task.missingPieces()).toEqual([]);
    expect(origin.requestsOf('/file')).toHaveLength(2);
  });
});

it('asks for other pieces as soon as the head of the first answer shows ranges', async () => {
  const dir = tempDir('session');
  const store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
  try {
    const task = await store.getOrCreate('standard', 'ranges', {
      pieceLengthBytes: PIECE,
      contentLengthBytes: CONTENT.lengthBytes,
    });
    const asked: number[] = [];
    const hasFollowers = Promise.withResolvers<void>();
    const backend = new HttpBackend();
    jest.spyOn(backend, 'read').mockImplementation(async ({ range }) => {
      const start = range?.startBytes ?? 0;
      asked.push(start / PIECE);
      if (asked.length === 3) hasFollowers.resolve();
      return aPart(CONTENT.slice(start, start + PIECE), start === 0 ? hasFollowers.promise : undefined);
    });
    const session = new SourceSession({
      task,
      access: { backend, request: { url: 'http://origin/file' } },
      mayUseRanges: true,
      concurrency: 3,
      maxRetries: 0,
      limiters: [],
      pool: new BufferPool({ bufferBytes: PIECE, maxBuffers: 6 }),
      onPiece: () => {},
      log: silentLogger(),
    });
    await session.run(task.missingPieces(), AbortSignal.timeout(10_000));
    expect(asked.toSorted()).toEqual([0, 1, 2, 3]);
    expect(task.missingPieces()).toEqual([]);
  } finally {
    await store.close();
    dir.remove();
  }
});

/** @param ready when its first byte comes */
function aPart(bytes: Buffer, ready: Promise<void> | undefined): SourceBody {
  let at = 0;
  return {
    statusCode: 206,
    headers: {},
    isPartial: true,
    readInto: () => Promise.reject(new Error('not asked for')),
    pour: async (receiver) => {
      await ready;
      for (let buffer = receiver.nextBuffer(); buffer !== undefined; buffer = receiver.nextBuffer()) {
        if (!ArrayBuffer.isView(buffer)) {
          await buffer;
          continue;
        }
        const part = bytes.subarray(at, at + buffer.length);
        buffer.set(part);
        at += part.length;
        receiver.received(part.length);
      }
    },
    cancel: () => {},
  };
}
