import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { jest } from '@jest/globals';
import { waitFor } from '@dragonfly/testkit';
import {
  BufferPool,
  decodeErrorValue,
  decodeFrameHeader,
  decodePieceContentValue,
  encodeFrameHeader,
  encodePieceRequest,
  ERROR_TAG,
  FRAME_HEADER_LENGTH_BYTES,
  type VortexServerOptions,
  VortexClient,
  VortexServer,
} from '../src/index.js';
import { closed, MemoryLog, MemorySink, PieceFile, TASK_ID } from './piece-file.js';

const MIB = 1024 * 1024;

// Real sockets on a machine that may be busy; every wait below has a shorter bound of its own.
const WHOLE_TEST_MS = 30_000;
jest.setTimeout(WHOLE_TEST_MS);

let cleanup: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of cleanup.reverse()) await close();
  cleanup = [];
});

async function aServer(lengths: readonly number[], options: Partial<VortexServerOptions> = {}) {
  const file = new PieceFile(lengths);
  cleanup.push(() => file.close());
  const pool = new BufferPool({ bufferBytes: 256 * 1024, maxBuffers: 8 });
  const log = new MemoryLog();
  const server = await VortexServer.start({ host: '127.0.0.1', port: 0, source: file, log, pool, ...options });
  cleanup.push(async () => {
    await server.close(0);
    expect([pool.inUse, file.openPieces]).toEqual([0, 0]);
  });
  return { file, server, log };
}

const request = (pieceNumber: number) => encodePieceRequest('standard', { taskId: TASK_ID, pieceNumber });

/** A child of another make: a plain socket, and what came out of it. */
class ForeignChild {
  private received = Buffer.alloc(0);
  private hasEnded = false;
  private onChange: () => void = () => undefined;

  private constructor(readonly socket: Socket) {
    const changed = (): void => this.onChange();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      changed();
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.hasEnded = true;
        changed();
      });
    }
  }

  static async connect(port: number): Promise<ForeignChild> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    cleanup.push(() => {
      socket.destroy();
    });
    const child = new ForeignChild(socket);
    await once(socket, 'connect');
    return child;
  }

  /** The next bytes, exactly so many. */
  async read(lengthBytes: number): Promise<Buffer> {
    while (this.received.length < lengthBytes) {
      if (this.hasEnded) throw new Error(`connection ended after ${this.received.length} of ${lengthBytes} bytes`);
      await new Promise<void>((resolve) => {
        this.onChange = resolve;
      });
    }
    const bytes = this.received.subarray(0, lengthBytes);
    this.received = this.received.subarray(lengthBytes);
    return bytes;
  }

  async readAnswer() {
    const header = decodeFrameHeader(await this.read(FRAME_HEADER_LENGTH_BYTES));
    const value = await this.read(header.valueLengthBytes);
    if (header.tag === ERROR_TAG) return { error: decodeErrorValue(value) };
    const metadata = decodePieceContentValue(value);
    return { metadata, content: await this.read(metadata.lengthBytes) };
  }
}

describe('a child that closes its writing side once it has the metadata, as releases up to 1.5.1 do', () => {
  it('gets the whole piece, and then the end', async () => {
    const { file, server } = await aServer([8 * MIB]);
    const child = await ForeignChild.connect(server.port);
    child.socket.write(request(0));
    const header = decodeFrameHeader(await child.read(FRAME_HEADER_LENGTH_BYTES));
    await child.read(header.valueLengthBytes);
    child.socket.end();
    const content = await child.read(8 * MIB);
    expect(content.equals(file.content(0))).toBe(true);
    await expect(child.read(1)).rejects.toThrow('connection ended');
    await waitFor(() => server.stats.connections === 0, { what: 'the server to close' });
    expect(server.stats.answers).toBe(1);
  });
});

describe('a child', () => {
  it('that closes its writing side right after the request gets its answer too', async () => {
    const { file, server } = await aServer([1000]);
    const child = await ForeignChild.connect(server.port);
    child.socket.end(request(0));
    const answer = await child.readAnswer();
    expect(answer.content?.equals(file.content(0))).toBe(true);
    await waitFor(() => server.stats.connections === 0, { what: 'the server to close' });
  });

  it('may send several requests at once and gets the answers in order', async () => {
    const { file, server } = await aServer([1000, 300_000, 1]);
    const child = await ForeignChild.connect(server.port);
    child.socket.end(Buffer.concat([request(1), request(7), request(0), request(2)]));
    expect((await child.readAnswer()).content?.equals(file.content(1))).toBe(true);
    expect((await child.readAnswer()).error).toMatchObject({ code: 2 });
    expect((await child.readAnswer()).content?.equals(file.content(0))).toBe(true);
    expect((await child.readAnswer()).content?.equals(file.content(2))).toBe(true);
    await expect(child.read(1)).rejects.toThrow('connection ended');
  });

  it('that floods the server with requests while it is served is not read from any further', async () => {
    const { file, server } = await aServer([10]);
    const held = Promise.withResolvers<void>();
    file.beforeOpen = () => held.promise;
    const child = await ForeignChild.connect(server.port);
    const requests = 100_000;
    const flood = Buffer.concat(Array.from({ length: requests }, () => request(0)));
    child.socket.write(flood);
    await waitFor(() => file.asked.length === 1, { what: 'the first request' });
    // The kernel's buffers take some; most stays with the child.
    await waitFor(() => child.socket.writableLength > 0, { what: 'the child to be held up' });
    const before = child.socket.bytesWritten - child.socket.writableLength;
    expect(before).toBeLessThan(flood.length);
    child.socket.destroy();
    held.resolve();
    await waitFor(() => server.stats.connections === 0, { what: 'the server to close' });
  });

  it('that keeps its end of an idle connection open, as daemons do, does not delay the end of the server', async () => {
    const { file, server } = await aServer([1000]);
    const child = await ForeignChild.connect(server.port);
    child.socket.write(request(0));
    expect((await child.readAnswer()).content?.equals(file.content(0))).toBe(true);
    await server.close(WHOLE_TEST_MS); // would wait for all of it otherwise
    await expect(child.read(1)).rejects.toThrow('connection ended');
  });

  it('may send its request byte by byte', async () => {
    const { file, server } = await aServer([1000]);
    const child = await ForeignChild.connect(server.port);
    child.socket.setNoDelay(true);
    for (const byte of request(0)) {
      await new Promise<void>((resolve) => child.socket.write(Buffer.from([byte]), () => setImmediate(resolve)));
    }
    expect((await child.readAnswer()).content?.equals(file.content(0))).toBe(true);
  });

  it('that is gone while its piece is looked for stops the search', async () => {
    const { file, server } = await aServer([1000]);
    const stopped = Promise.withResolvers<void>();
    file.beforeOpen = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          stopped.resolve();
          resolve();
        });
      });
    const child = await ForeignChild.connect(server.port);
    child.socket.write(request(0));
    await waitFor(() => file.asked.length === 1, { what: 'the request' });
    child.socket.resetAndDestroy();
    await stopped.promise;
    await waitFor(() => file.openPieces === 0, { what: 'the piece to be released' });
  });

  it.each([
    ['an answer', Buffer.concat([encodeFrameHeader({ packetId: 0, tag: 1, valueLengthBytes: 4 }), Buffer.alloc(4)])],
    ['a reserved tag', encodeFrameHeader({ packetId: 0, tag: 77, valueLengthBytes: 0 })],
    ['Close', encodeFrameHeader({ packetId: 0, tag: 254, valueLengthBytes: 0 })],
    ['Error', encodeFrameHeader({ packetId: 0, tag: 255, valueLengthBytes: 1 })],
    ['a value that is too long', encodeFrameHeader({ packetId: 0, tag: 0, valueLengthBytes: 0xffff_ffff })],
    ['a value that is too short', encodeFrameHeader({ packetId: 0, tag: 0, valueLengthBytes: 67 })],
    ['a task id that is no id', Buffer.concat([request(0).subarray(0, 6), Buffer.alloc(68, '/')])],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n')],
  ])('that sends %s is dropped without an answer', async (_what, bytes) => {
    const { file, server } = await aServer([1000]);
    const child = await ForeignChild.connect(server.port);
    child.socket.write(bytes);
    await expect(child.read(1)).rejects.toThrow('connection ended');
    await waitFor(() => server.stats.rejectedFrames === 1, { what: 'the count' });
    expect(file.asked).toEqual([]);
  });
});

describe('a thousand connections with random bytes', () => {
  it('do not disturb a child that is served meanwhile', async () => {
    const { file, server } = await aServer([MIB, 1000]);
    const pool = new BufferPool({ bufferBytes: 65_536, maxBuffers: 4 });
    const client = new VortexClient({ pool });
    cleanup.push(() => client.close());
    const fetchOne = async (pieceNumber: number) => {
      const sink = new MemorySink();
      await client.fetchPiece({
        host: '127.0.0.1',
        port: server.port,
        kind: 'standard',
        taskId: TASK_ID,
        pieceNumber,
        expectedLengthBytes: file.content(pieceNumber).length,
        sink,
      });
      expect(sink.bytes.equals(file.content(pieceNumber))).toBe(true);
    };
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let batch = 0; batch < 20; batch++) {
      const attackers = Array.from({ length: 50 }, () => {
        const bytes = Buffer.from(Array.from({ length: random(200) }, () => random(256)));
        // A third look like requests at first.
        if (random(3) === 0) request(random(3)).copy(bytes, 0, 0, random(75));
        const socket = connect(server.port, '127.0.0.1');
        socket.resume();
        socket.end(bytes);
        return closed(socket);
      });
      await Promise.all([...attackers, fetchOne(batch % 2)]);
    }
    await client.close();
    await waitFor(() => server.stats.connections === 0, { what: 'all connections to be forgotten' });
    expect(server.stats.rejectedFrames).toBeGreaterThan(300);
  });
});
