import { connect } from 'node:net';
import { jest } from '@jest/globals';
import { DfError } from '@dragonfly/errors';
import { waitFor } from '@dragonfly/testkit';
import {
  BufferPool,
  crc32,
  MAX_OUTSTANDING_WRITES,
  type PieceKind,
  RateLimiter,
  VortexClient,
  type VortexClientOptions,
  VortexServer,
  type VortexServerOptions,
} from '../src/index.js';
import { closed, gate, MemoryLog, MemorySink, PieceFile, SOON_MS, TASK_ID } from './piece-file.js';

const MIB = 1024 * 1024;
const LENGTHS = [1, 2, 93, 4096, 65_536, MIB - 1, MIB, MIB + 1, 4 * MIB, 64 * MIB, 3 * MIB + 12_345];

// Real sockets and files on a machine that may be busy; every wait below has a shorter bound of its own.
jest.setTimeout(30_000);

/** Everything of one test, closed in reverse order afterwards. */
let cleanup: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of cleanup.reverse()) await close();
  cleanup = [];
});

const aFile = (lengths: readonly number[] = [4 * MIB, 1000, 4 * MIB]) => {
  const file = new PieceFile(lengths);
  cleanup.push(() => file.close());
  return file;
};
const log = new MemoryLog();
const aServer = async (source: PieceFile, options: Partial<VortexServerOptions> = {}) => {
  const server = await VortexServer.start({ host: '127.0.0.1', port: 0, source, log, ...options });
  cleanup.push(() => server.close(0));
  return server;
};
const aClient = (options: VortexClientOptions = {}) => {
  const pool = options.pool ?? new BufferPool({ bufferBytes: MIB, maxBuffers: 8 });
  const client = new VortexClient({ ...options, pool });
  cleanup.push(async () => {
    await client.close();
    // Whatever happened in the test: every buffer came back.
    await waitFor(() => pool.inUse === 0, { what: 'all buffers to be released', timeoutMs: SOON_MS });
  });
  return client;
};
const pieceOf = (port: number, file: PieceFile, pieceNumber: number) => ({
  host: '127.0.0.1',
  port,
  kind: 'standard' as PieceKind,
  taskId: TASK_ID,
  pieceNumber,
  expectedLengthBytes: file.metadata(pieceNumber).lengthBytes,
});

describe('a piece transfer', () => {
  it('carries pieces of every size unchanged, over one connection', async () => {
    const file = aFile(LENGTHS);
    const server = await aServer(file);
    const client = aClient();
    for (const pieceNumber of LENGTHS.keys()) {
      const sink = new MemorySink();
      const metadata = file.metadata(pieceNumber);
      let arrivals = 0;
      const piece = await client.fetchPiece({
        ...pieceOf(server.port, file, pieceNumber),
        expectedOffsetBytes: metadata.offsetBytes,
        expectedDigest: metadata.digest,
        sink,
        onBytes: () => (arrivals += 1),
      });
      expect(arrivals).toBeGreaterThan(0);
      expect(piece).toMatchObject({ metadata, digest: metadata.digest, isVerified: true });
      expect(piece.isReusedConnection).toBe(pieceNumber > 0);
      expect(sink.bytes.equals(file.content(pieceNumber))).toBe(true);
    }
    expect(client.stats).toEqual({
      connectionsOpened: 1,
      connectionsReused: LENGTHS.length - 1,
      staleConnections: 0,
      idle: 1,
    });
    expect(server.stats).toMatchObject({ answers: LENGTHS.length, connections: 1, shortReads: 0 });
    expect(file.openPieces).toBe(0);
  });

  it.each<PieceKind>(['standard', 'persistent', 'persistent-cache', 'cache'])(
    'asks for and accepts pieces of a %s task',
    async (kind) => {
      const file = aFile([100]);
      const server = await aServer(file);
      await aClient().fetchPiece({ ...pieceOf(server.port, file, 0), kind, sink: new MemorySink() });
      expect(file.asked).toEqual([{ kind, taskId: TASK_ID, pieceNumber: 0 }]);
    },
  );

  it('runs many at once with few buffers, on both sides', async () => {
    const lengths = LENGTHS.filter((length) => length <= MIB + 1);
    const file = aFile(lengths);
    const pool = new BufferPool({ bufferBytes: 100_000, maxBuffers: 2 });
    const server = await aServer(file, { pool });
    const client = aClient({ pool: new BufferPool({ bufferBytes: 70_001, maxBuffers: 3 }), maxIdlePerAddress: 4 });
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const pieceNumber = index % lengths.length;
        const sink = new MemorySink();
        await client.fetchPiece({ ...pieceOf(server.port, file, pieceNumber), sink });
        expect(crc32(sink.bytes)).toBe(crc32(file.content(pieceNumber)));
      }),
    );
    expect(client.stats.idle).toBeLessThanOrEqual(4);
    expect(pool.inUse).toBe(0);
  });

  it('accepts a piece without a digest and says that it could not be verified', async () => {
    const file = aFile([1000]);
    file.disguise = (piece) => ({ ...piece, digest: '' });
    const server = await aServer(file);
    const piece = await aClient().fetchPiece({
      ...pieceOf(server.port, file, 0),
      expectedDigest: file.metadata(0).digest,
      sink: new MemorySink(),
    });
    expect(piece).toMatchObject({ isVerified: false, digest: file.metadata(0).digest });
  });

  it('detects one wrong bit, and keeps the connection', async () => {
    const file = aFile();
    const server = await aServer(file);
    const client = aClient();
    file.corrupt(0, 3 * MIB + 17);
    await expect(client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() })).rejects.toMatchObject(
      { code: 'data-loss', message: expect.stringContaining('checksum') },
    );
    const piece = await client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    expect(piece.isReusedConnection).toBe(true);
  });

  it.each([
    ['number', { number: 7 }],
    ['length', { lengthBytes: 999 }],
    ['offset', { offsetBytes: 1 }],
    ['digest', { digest: 'crc32:1' }],
  ])('refuses an answer with another %s before its bytes', async (what, part) => {
    const file = aFile([1000]);
    file.disguise = (piece) => ({ ...piece, ...part });
    const server = await aServer(file);
    const client = aClient();
    const sink = new MemorySink();
    const { offsetBytes, digest } = file.metadata(0);
    await expect(
      client.fetchPiece({
        ...pieceOf(server.port, file, 0),
        expectedOffsetBytes: offsetBytes,
        expectedDigest: digest,
        sink,
      }),
    ).rejects.toMatchObject({ code: 'data-loss', message: expect.stringContaining(what) });
    expect(sink.chunks).toEqual([]);
    expect(client.stats.idle).toBe(0);
  });

  it('cuts the connection when the file is shorter than the piece, and sends nothing wrong', async () => {
    const file = aFile([100_000]);
    file.disguise = (piece) => ({ ...piece, lengthBytes: 200_000 });
    const server = await aServer(file, { pool: new BufferPool({ bufferBytes: 65_536, maxBuffers: 4 }) });
    const sink = new MemorySink();
    await expect(
      aClient().fetchPiece({ ...pieceOf(server.port, file, 0), expectedLengthBytes: 200_000, sink }),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.stats).toMatchObject({ shortReads: 1, answers: 0 });
    expect(file.openPieces).toBe(0);
  });

  it('tells that a piece is not there, and goes on', async () => {
    const file = aFile();
    const server = await aServer(file);
    const client = aClient();
    const missing = { ...pieceOf(server.port, file, 0), pieceNumber: 99, sink: new MemorySink() };
    await expect(client.fetchPiece(missing)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(`piece ${TASK_ID}-99 not found`),
    });
    const piece = await client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    expect(piece.isReusedConnection).toBe(true);
    expect(server.stats).toMatchObject({ errorAnswers: 1, answers: 1, connections: 1 });
  });

  it.each([
    [new Error('the disk is gone'), 'internal', 3],
    [new DfError('invalid-argument', 'no such kind here'), 'invalid-argument', 1],
    [new DfError('not-found', 'was deleted'), 'not-found', 2],
  ])('tells what went wrong when the source throws %s', async (error, code, wireCode) => {
    const file = aFile();
    file.beforeOpen = () => Promise.reject(error);
    const server = await aServer(file);
    const client = aClient();
    await expect(client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() })).rejects.toMatchObject(
      {
        code,
        message: expect.stringContaining(error.message),
        details: { wireCode },
      },
    );
    expect(client.stats.idle).toBe(1);
  });

  it('waits for a piece that is still being fetched', async () => {
    const file = aFile();
    const arrived = gate();
    file.beforeOpen = () => arrived.opened;
    const server = await aServer(file);
    const sink = new MemorySink();
    const fetching = aClient().fetchPiece({ ...pieceOf(server.port, file, 1), sink });
    await waitFor(() => file.asked.length === 1, { what: 'the request' });
    arrived.open();
    await fetching;
    expect(sink.bytes.equals(file.content(1))).toBe(true);
  });

  it('asks the upload limit for the length of each piece before the answer', async () => {
    const file = aFile([1000, 2000]);
    const limiter = new RateLimiter(1, { burstBytes: 1000 });
    const server = await aServer(file, { limiter });
    const client = aClient();
    await client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() });
    const second = client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    await waitFor(() => limiter.waiting === 1, { what: 'the second piece to wait' });
    limiter.setRate(Infinity);
    await second;
  });

  it('takes nothing of the upload limit for a piece that is given up while it waits', async () => {
    const file = aFile([1000, 2000]);
    const limiter = new RateLimiter(1, { burstBytes: 1000 });
    const server = await aServer(file, { limiter });
    const client = aClient();
    await client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() });
    const noLongerWanted = new AbortController();
    const { signal } = noLongerWanted;
    const second = client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink(), signal });
    await waitFor(() => limiter.waiting === 1, { what: 'the second piece to wait' });
    noLongerWanted.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor(() => limiter.waiting === 0, { what: 'the parent to forget the piece', timeoutMs: SOON_MS });
  });
});

describe('the client', () => {
  it('receives into few buffers while writes are slow, two at most at a time', async () => {
    const file = aFile([MIB]);
    const server = await aServer(file);
    const pool = new BufferPool({ bufferBytes: 10_000, maxBuffers: 2 });
    const client = aClient({ pool });
    const sink = new MemorySink();
    sink.onWrite = () => new Promise((resolve) => setImmediate(resolve));
    await client.fetchPiece({ ...pieceOf(server.port, file, 0), sink });
    expect(sink.bytes.equals(file.content(0))).toBe(true);
    expect(sink.maxOutstanding).toBe(MAX_OUTSTANDING_WRITES);
    expect(pool.allocated).toBeLessThanOrEqual(2);
  });

  it('gets on with a single buffer', async () => {
    const file = aFile([300_000]);
    const server = await aServer(file);
    const client = aClient({ pool: new BufferPool({ bufferBytes: 10_000, maxBuffers: 1 }) });
    const sinks = [new MemorySink(), new MemorySink(), new MemorySink()];
    for (const sink of sinks) sink.onWrite = () => new Promise((resolve) => setImmediate(resolve));
    await Promise.all(sinks.map((sink) => client.fetchPiece({ ...pieceOf(server.port, file, 0), sink })));
    for (const sink of sinks) expect(sink.bytes.equals(file.content(0))).toBe(true);
  });

  it('gives the connection back while the last bytes are still being written', async () => {
    const file = aFile([1000, 1000]);
    const server = await aServer(file);
    const client = aClient();
    const written = gate();
    const slow = new MemorySink();
    slow.onWrite = () => written.opened;
    const first = client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: slow });
    await waitFor(() => client.stats.idle === 1, { what: 'the connection to be free' });
    const second = await client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    expect(second.isReusedConnection).toBe(true);
    written.open();
    await first;
  });

  it.each([0, 2])('passes on an error of the sink in part %i, when no write is outstanding', async (failingPart) => {
    const file = aFile([4 * MIB]);
    const server = await aServer(file);
    const client = aClient();
    const sink = new MemorySink();
    const failure = new DfError('no-space', 'disk full');
    sink.onWrite = async (offset) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (offset === failingPart * MIB) throw failure;
    };
    await expect(client.fetchPiece({ ...pieceOf(server.port, file, 0), sink })).rejects.toBe(failure);
    expect(sink.outstanding).toBe(0);
  });

  it('gives up at once when aborted in the middle of a piece, and waits for outstanding writes', async () => {
    const file = aFile([24 * MIB]);
    const server = await aServer(file);
    const pool = new BufferPool({ bufferBytes: MIB, maxBuffers: 2 });
    const client = aClient({ pool });
    const abort = new AbortController();
    const written = gate();
    const sink = new MemorySink();
    sink.onWrite = () => written.opened;
    const fetching = client.fetchPiece({ ...pieceOf(server.port, file, 0), sink, signal: abort.signal });
    const outcome = expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor(() => sink.outstanding === 2, { what: 'two writes to be outstanding' });
    abort.abort(new Error('not wanted'));
    await waitFor(() => server.stats.connections === 0, { what: 'the server to see the end' });
    // The buffers are still being written to disk: they may not be used for anything else yet.
    expect(pool.inUse).toBe(2);
    written.open();
    await outcome;
    expect(pool.inUse).toBe(0);
    expect(file.openPieces).toBe(0);
  });

  it('does not start when it is aborted already, or closed', async () => {
    const file = aFile();
    const server = await aServer(file);
    const client = aClient();
    const signal = AbortSignal.abort();
    const request = { ...pieceOf(server.port, file, 0), sink: new MemorySink() };
    await expect(client.fetchPiece({ ...request, signal })).rejects.toMatchObject({ code: 'cancelled' });
    await client.close();
    await expect(client.fetchPiece(request)).rejects.toMatchObject({ code: 'cancelled' });
    expect(file.asked).toEqual([]);
  });

  it('fails pieces in flight when it is closed', async () => {
    const file = aFile();
    file.beforeOpen = (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    const server = await aServer(file);
    const client = aClient();
    const fetching = client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() });
    const outcome = expect(fetching).rejects.toMatchObject({ code: 'unavailable' });
    await waitFor(() => file.asked.length === 1, { what: 'the request' });
    await client.close();
    await outcome;
  });

  it.each([
    ['a task id that is not 64 hex characters', { taskId: '1234abcd' }],
    ['a negative piece number', { pieceNumber: -1 }],
    ['an empty piece', { expectedLengthBytes: 0 }],
  ])('refuses to ask for %s', async (_what, part) => {
    const request = { host: '127.0.0.1', port: 1, kind: 'standard' as const, taskId: TASK_ID, pieceNumber: 0 };
    await expect(
      aClient().fetchPiece({ ...request, expectedLengthBytes: 1, sink: new MemorySink(), ...part }),
    ).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('says so when nobody listens', async () => {
    const file = aFile();
    const server = await aServer(file);
    const request = { ...pieceOf(server.port, file, 0), sink: new MemorySink() };
    await server.close();
    await expect(aClient().fetchPiece(request)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('takes its default where an option is undefined', async () => {
    const file = aFile([1000]);
    const held = gate();
    file.beforeOpen = () => held.opened;
    const server = await aServer(file);
    const client = aClient({ answerTimeoutMs: undefined, stallTimeoutMs: undefined, connectTimeoutMs: undefined });
    const fetching = client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() });
    await waitFor(() => file.asked.length === 1, { what: 'the request' });
    setTimeout(held.open, 20);
    await expect(fetching).resolves.toMatchObject({ isVerified: true });
  });

  it('closes a connection that was idle for too long', async () => {
    const file = aFile();
    const server = await aServer(file);
    const client = aClient({ idleTimeoutMs: 20 });
    await client.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    await waitFor(() => client.stats.idle === 0 && server.stats.connections === 0, { what: 'the connection to close' });
  });

  it('keeps the newest idle connections to a parent, up to its bound', async () => {
    const file = aFile([1000]);
    const server = await aServer(file);
    const client = aClient({ maxIdlePerAddress: 2 });
    const all = gate();
    file.beforeOpen = () => (file.asked.length === 5 ? Promise.resolve(all.open()) : all.opened);
    await Promise.all(
      Array.from({ length: 5 }, () => client.fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() })),
    );
    await waitFor(() => server.stats.connections === 2, { what: 'three connections to close' });
    expect(client.stats).toMatchObject({ connectionsOpened: 5, idle: 2 });
  });
});

describe('the server', () => {
  it('closes a connection that asks for nothing', async () => {
    const server = await aServer(aFile(), { idleTimeoutMs: 20 });
    const socket = connect(server.port, '127.0.0.1');
    socket.resume();
    await closed(socket);
    await waitFor(() => server.stats.connections === 0, { what: 'the server to forget it' });
  });

  it('closes a connection that sends its request byte by byte for too long', async () => {
    const server = await aServer(aFile(), { idleTimeoutMs: 100 });
    const socket = connect(server.port, '127.0.0.1');
    socket.resume();
    const timer = setInterval(() => socket.write(Buffer.from([0])), 10);
    cleanup.push(() => clearInterval(timer));
    await closed(socket);
  });

  it('does not let a child that does not read hold an answer for ever', async () => {
    const file = aFile([24 * MIB]);
    const pool = new BufferPool({ bufferBytes: MIB, maxBuffers: 4 });
    const server = await aServer(file, { writeTimeoutMs: 100, pool });
    const client = aClient({ pool: new BufferPool({ bufferBytes: MIB, maxBuffers: 1 }) });
    const sink = new MemorySink();
    const written = gate();
    sink.onWrite = () => written.opened;
    const fetching = client.fetchPiece({ ...pieceOf(server.port, file, 0), sink });
    const outcome = expect(fetching).rejects.toMatchObject({ code: 'unavailable' });
    await waitFor(() => server.stats.timeouts === 1, { what: 'the write timeout' });
    await waitFor(() => pool.inUse === 0, { what: 'the server to give its buffers back' });
    expect(file.openPieces).toBe(0);
    written.open();
    await outcome;
  });

  it('refuses connections over its bound', async () => {
    const file = aFile();
    const server = await aServer(file, { maxConnections: 1 });
    const first = connect(server.port, '127.0.0.1');
    await waitFor(() => server.stats.connections === 1, { what: 'the first connection' });
    await expect(
      aClient().fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() }),
    ).rejects.toMatchObject({ code: 'unavailable' });
    first.destroy();
  });

  it('lets a running answer end when it closes, and idle connections go at once', async () => {
    const file = aFile([8 * MIB, 10]);
    const server = await aServer(file);
    const idle = aClient();
    await idle.fetchPiece({ ...pieceOf(server.port, file, 1), sink: new MemorySink() });
    const busy = aClient();
    const sink = new MemorySink();
    const mayWrite = gate();
    sink.onWrite = () => mayWrite.opened;
    const fetching = busy.fetchPiece({ ...pieceOf(server.port, file, 0), sink });
    await waitFor(() => sink.outstanding > 0, { what: 'the first part' });
    const closing = server.close(SOON_MS);
    await waitFor(() => idle.stats.idle === 0, { what: 'the idle connection to end' });
    mayWrite.open();
    await fetching;
    await closing;
    expect(sink.bytes.equals(file.content(0))).toBe(true);
    expect(server.stats.connections).toBe(0);
  });

  it('cuts a running answer when the grace is over', async () => {
    const file = aFile();
    file.beforeOpen = (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    const server = await aServer(file);
    const fetching = aClient().fetchPiece({ ...pieceOf(server.port, file, 0), sink: new MemorySink() });
    const outcome = expect(fetching).rejects.toMatchObject({ code: 'unavailable' });
    await waitFor(() => file.asked.length === 1, { what: 'the request' });
    await server.close(10);
    await outcome;
  });

  it('says so when its port is taken', async () => {
    const file = aFile();
    const server = await aServer(file);
    await expect(VortexServer.start({ host: '127.0.0.1', port: server.port, source: file, log })).rejects.toMatchObject(
      { code: 'unavailable', message: expect.stringContaining(String(server.port)) },
    );
  });
});
