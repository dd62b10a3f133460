import { createServer, type Server, type Socket } from 'node:net';
import { jest } from '@jest/globals';
import { crc32Digest } from '@dragonfly/ids';
import { waitFor } from '@dragonfly/testkit';
import {
  BufferPool,
  crc32,
  encodeErrorFrame,
  encodeFrameHeader,
  encodePieceContentHead,
  MAX_ANSWER_VALUE_LENGTH_BYTES,
  VortexClient,
  type VortexClientOptions,
} from '../src/index.js';
import { ParentConnection } from '../src/parent-connection.js';
import { MemorySink, TASK_ID } from './piece-file.js';

const REQUEST_LENGTH_BYTES = 74;
const CONTENT = Buffer.from('piece content '.repeat(1000));
const HEAD = encodePieceContentHead('standard', {
  number: 0,
  offsetBytes: 0,
  lengthBytes: CONTENT.length,
  digest: crc32Digest(crc32(CONTENT)),
  parentId: '',
  trafficType: 1,
  costMs: 0,
  createdAtMs: 0,
});

// Real sockets on a machine that may be busy; every wait below has a shorter bound of its own.
jest.setTimeout(30_000);

let cleanup: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of cleanup.reverse()) await close();
  cleanup = [];
});

/** A parent of another make: `answer` is called for each whole request, counted from 1 over all connections. */
async function aParent(answer: (socket: Socket, request: number) => void): Promise<{ port: number; server: Server }> {
  let requests = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let received = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.length;
      for (; received >= REQUEST_LENGTH_BYTES; received -= REQUEST_LENGTH_BYTES) answer(socket, ++requests);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, server };
}

function aClient(options: VortexClientOptions = {}): VortexClient {
  const pool = new BufferPool({ bufferBytes: 4096, maxBuffers: 4 });
  const client = new VortexClient({ pool, ...options });
  cleanup.push(async () => {
    await client.close();
    expect(pool.inUse).toBe(0);
  });
  return client;
}

const fetchFrom = (client: VortexClient, port: number, sink = new MemorySink(), signal?: AbortSignal) =>
  client.fetchPiece({
    host: '127.0.0.1',
    port,
    kind: 'standard',
    taskId: TASK_ID,
    pieceNumber: 0,
    expectedLengthBytes: CONTENT.length,
    sink,
    signal,
  });

describe('a parent that closes after every answer, as releases up to 1.5.1 do', () => {
  it('is served from again and again', async () => {
    const { port } = await aParent((socket) => {
      socket.write(HEAD);
      socket.end(CONTENT);
    });
    const client = aClient();
    for (let round = 0; round < 5; round++) {
      const sink = new MemorySink();
      await fetchFrom(client, port, sink);
      expect(sink.bytes.equals(CONTENT)).toBe(true);
    }
  });

  it('is asked again on a new connection when the idle one breaks at the request', async () => {
    const { port } = await aParent((socket, request) => {
      if (request === 2) socket.destroy();
      else socket.write(Buffer.concat([HEAD, CONTENT]));
    });
    const client = aClient();
    await fetchFrom(client, port);
    const piece = await fetchFrom(client, port);
    expect(piece.isReusedConnection).toBe(false);
    expect(client.stats).toMatchObject({ connectionsOpened: 2, staleConnections: 1 });
  });

  it('is not asked a third time', async () => {
    const { port } = await aParent((socket, request) => {
      if (request === 1) socket.write(Buffer.concat([HEAD, CONTENT]));
      else socket.destroy();
    });
    const client = aClient();
    await fetchFrom(client, port);
    await expect(fetchFrom(client, port)).rejects.toMatchObject({ code: 'unavailable' });
    expect(client.stats).toMatchObject({ connectionsOpened: 2, staleConnections: 1 });
  });

  it('is not asked again when it breaks off in its answer', async () => {
    const { port } = await aParent((socket, request) => {
      if (request === 1) socket.write(Buffer.concat([HEAD, CONTENT]));
      else socket.end(HEAD.subarray(0, 1));
    });
    const client = aClient();
    await fetchFrom(client, port);
    await expect(fetchFrom(client, port)).rejects.toMatchObject({ code: 'unavailable' });
    expect(client.stats).toMatchObject({ connectionsOpened: 1, staleConnections: 0 });
  });
});

describe('an answer', () => {
  it('may come in any cuts', async () => {
    const whole = Buffer.concat([HEAD, CONTENT]);
    const { port } = await aParent((socket) => {
      const cuts = [1, 5, 6, 7, 10, HEAD.length - 1, HEAD.length, HEAD.length + 1, HEAD.length + 4096, whole.length];
      socket.setNoDelay(true);
      let start = 0;
      const next = () => {
        const end = cuts.shift();
        if (end === undefined) return;
        socket.write(whole.subarray(start, end), () => setImmediate(next));
        start = end;
      };
      next();
    });
    const sink = new MemorySink();
    await fetchFrom(aClient(), port, sink);
    expect(sink.bytes.equals(CONTENT)).toBe(true);
  });

  it('that ends early is an error at every point', async () => {
    const whole = Buffer.concat([HEAD, CONTENT]);
    const ends = [0, 3, 6, 20, HEAD.length, HEAD.length + 1, HEAD.length + 4096, whole.length - 1];
    const { port } = await aParent((socket, request) => socket.end(whole.subarray(0, ends[request - 1])));
    const client = aClient();
    for (const _end of ends) {
      await expect(fetchFrom(client, port)).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(client.stats.idle).toBe(0);
  });

  it('that is followed by bytes nobody asked for costs the connection', async () => {
    const { port } = await aParent((socket) => {
      socket.write(Buffer.concat([HEAD, CONTENT, Buffer.from('x')]));
    });
    const client = aClient();
    const sink = new MemorySink();
    await fetchFrom(client, port, sink);
    expect(sink.bytes.equals(CONTENT)).toBe(true);
    await waitFor(() => client.stats.idle === 0, { what: 'the connection to be dropped' });
  });

  const value = (tag: number, valueLengthBytes: number) => encodeFrameHeader({ packetId: 0, tag, valueLengthBytes });
  it.each([
    ['of another task kind', encodePieceContentHead('cache', { ...emptyMetadata(), number: 0 })],
    ['with a request tag', Buffer.concat([value(0, 68), Buffer.alloc(68)])],
    ['with a reserved tag', Buffer.concat([value(100, 4), Buffer.alloc(4)])],
    ['that closes', value(254, 0)],
    ['without a value', value(1, 0)],
    ['with a huge value', value(1, 0xffff_ffff)],
    ['with a value just over the bound', value(1, MAX_ANSWER_VALUE_LENGTH_BYTES + 1)],
    ['with metadata that is cut', Buffer.concat([value(1, 40), HEAD.subarray(6, 46)])],
    ['of zeros', Buffer.alloc(4096)],
    ['of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ])('%s is refused', async (_what, bytes) => {
    const { port } = await aParent((socket) => socket.write(bytes));
    const client = aClient();
    await expect(fetchFrom(client, port)).rejects.toMatchObject({ code: 'data-loss' });
    expect(client.stats.idle).toBe(0);
  });

  it('of random bytes never does more than fail', async () => {
    const { port } = await aParent((socket, request) => {
      const bytes = Buffer.alloc(200);
      let state = request * 2654435761;
      for (let at = 0; at < bytes.length; at++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        bytes[at] = state >>> 24;
      }
      // Half of them begin like a real answer.
      if (request % 2 === 0) HEAD.copy(bytes, 0, 0, request % HEAD.length);
      socket.end(bytes);
    });
    const client = aClient();
    for (let round = 0; round < 200; round++) {
      await expect(fetchFrom(client, port)).rejects.toMatchObject({
        name: 'DfError',
        code: expect.stringMatching(/^(data-loss|unavailable|internal|not-found|invalid-argument)$/),
      });
    }
  });

  it('with an unknown error code is an internal error with the parent’s text', async () => {
    const { port } = await aParent((socket) => socket.write(encodeErrorFrame({ code: 77, text: 'strange' })));
    await expect(fetchFrom(aClient(), port)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('strange'),
      details: { wireCode: 77 },
    });
  });
});

describe('a parent that is too slow', () => {
  it('to answer is given up', async () => {
    const { port } = await aParent(() => undefined);
    await expect(fetchFrom(aClient({ answerTimeoutMs: 20 }), port)).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: expect.stringContaining('did not answer'),
    });
  });

  it('and falls silent in a piece is given up', async () => {
    const { port } = await aParent((socket) => socket.write(Buffer.concat([HEAD, CONTENT.subarray(0, 100)])));
    await expect(fetchFrom(aClient({ stallTimeoutMs: 20 }), port)).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: expect.stringContaining('sent nothing'),
    });
  });

  it('and trickles is given up when the time for the piece is over', async () => {
    const { port } = await aParent((socket) => {
      socket.write(HEAD);
      const timer = setInterval(() => socket.write('x'), 5);
      socket.once('close', () => clearInterval(timer));
    });
    await expect(fetchFrom(aClient({ contentTimeoutMs: 50 }), port)).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: expect.stringContaining('to its end'),
    });
  });

  it('is not blamed for our own slow disk', async () => {
    const { port } = await aParent((socket) => socket.write(Buffer.concat([HEAD, CONTENT])));
    const sink = new MemorySink();
    sink.onWrite = (offset) => new Promise((resolve) => setTimeout(resolve, offset === 0 ? 600 : 0));
    await fetchFrom(
      aClient({ stallTimeoutMs: 250, pool: new BufferPool({ bufferBytes: 4096, maxBuffers: 1 }) }),
      port,
      sink,
    );
    expect(sink.bytes.equals(CONTENT)).toBe(true);
  });

  it('to take the connection is given up', async () => {
    const { port } = await aParent(() => undefined);
    jest.useFakeTimers();
    try {
      const opening = ParentConnection.open('127.0.0.1', port, 2000);
      const outcome = expect(opening).rejects.toMatchObject({
        code: 'deadline-exceeded',
        message: expect.stringContaining('took no connection in 2000 ms'),
      });
      // Before the event loop can learn that the connection stands.
      jest.advanceTimersByTime(2000);
      await outcome;
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('is left alone when the piece is not wanted any more', async () => {
    const abort = new AbortController();
    const { port } = await aParent(() => abort.abort(new Error('not wanted')));
    await expect(fetchFrom(aClient(), port, new MemorySink(), abort.signal)).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

function emptyMetadata() {
  return { offsetBytes: 0, lengthBytes: 1, digest: '', parentId: '', trafficType: 0, costMs: 0, createdAtMs: 0 };
}
