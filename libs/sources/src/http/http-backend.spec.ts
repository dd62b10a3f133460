import { DfError } from '@dragonfly/errors';
import { Content, CountingOrigin, waitFor } from '@dragonfly/testkit';
import { pourAll, readAll } from '../../test/bodies.js';
import { Opened } from '../../test/opened.js';

const CONTENT = new Content(3_000_000);
const BYTES = CONTENT.slice();
const { signal } = new AbortController();
/** Turns of the event loop that a slow reader takes between two buffers: longer than the next bytes need. */
const PAUSE_TURNS = 20;

describe('HttpBackend', () => {
  let origin: CountingOrigin;
  const opened = new Opened();
  const { backendWith, raw, fixed } = opened;

  beforeAll(async () => {
    origin = await CountingOrigin.start();
  });
  afterEach(() => opened.close());
  afterAll(() => origin.close());

  describe('stat', () => {
    it('learns length and ranges without a byte of body', async () => {
      const url = origin.put('/stat', CONTENT);
      const info = await backendWith().stat({ url, signal });
      expect(info).toMatchObject({ contentLengthBytes: 3_000_000, statusCode: 200 });
      expect(origin.bodyBytesSent('/stat')).toBeLessThanOrEqual(1);
      expect(info.supportsRange).toBe(true);
    });

    it('knows an origin without ranges, and one that tells no length', async () => {
      const backend = backendWith();
      const noRanges = origin.put('/no-ranges', { content: CONTENT, ranges: false });
      await expect(backend.stat({ url: noRanges, signal })).resolves.toMatchObject({
        contentLengthBytes: 3_000_000,
        supportsRange: false,
      });
      const noLength = origin.put('/no-length', { content: CONTENT, unknownLength: true, ranges: false });
      const info = await backend.stat({ url: noLength, signal });
      expect(info).toMatchObject({ contentLengthBytes: undefined, supportsRange: false });
      expect(origin.bodyBytesSent('/no-ranges') + origin.bodyBytesSent('/no-length')).toBe(0);
    });

    it.each([403, 404, 405, 500, 501])('asks for one byte where HEAD is answered %i', async (status) => {
      const server = await raw(({ socket, head }) =>
        socket.write(
          head.startsWith('HEAD')
            ? `HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`
            : 'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/777\r\nContent-Length: 1\r\nETag: "v"\r\n\r\nx',
        ),
      );
      await expect(backendWith().stat({ url: server.url(), signal })).resolves.toMatchObject({
        contentLengthBytes: 777,
        supportsRange: true,
        etag: '"v"',
      });
      expect(server.heads.map((head) => /range: .*/.exec(head)?.[0])).toEqual([undefined, 'range: bytes=0-0']);
      expect(server.connectionCount).toBe(1);
    });

    it('asks for one byte where HEAD makes the origin hang up', async () => {
      const server = await raw(({ socket, head }) => {
        if (head.startsWith('HEAD')) socket.destroy();
        else socket.write('HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\nx');
      });
      await expect(backendWith().stat({ url: server.url(), signal })).resolves.toMatchObject({ contentLengthBytes: 9 });
    });

    it('takes an unsatisfiable first byte for an empty content', async () => {
      const server = await raw(({ socket, head }) =>
        socket.write(
          head.startsWith('HEAD')
            ? 'HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n'
            : 'HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n',
        ),
      );
      await expect(backendWith().stat({ url: server.url(), signal })).resolves.toMatchObject({ contentLengthBytes: 0 });
    });

    it('asks without a range where ranges are refused altogether', async () => {
      const server = await raw(({ socket, head }) => {
        if (head.startsWith('HEAD')) socket.write('HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n');
        else if (head.includes('range:')) socket.write('HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n');
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n');
      });
      await expect(backendWith().stat({ url: server.url(), signal })).resolves.toMatchObject({
        contentLengthBytes: 12345,
        supportsRange: false,
      });
    });

    it.each([401, 403, 404, 500, 503])('reports a refusal with %i as the origin gave it', async (status) => {
      const url = origin.put('/refused', { content: CONTENT, status, headers: { 'x-reason': 'because' } });
      const refused = backendWith().stat({ url: `${url}?token=secret`, signal });
      await expect(refused).rejects.toMatchObject({
        code: 'origin',
        retryable: status >= 500,
        details: {
          statusCode: status,
          headers: { 'x-reason': 'because' },
          message: expect.stringContaining(String(status)) as string,
        },
      });
      await expect(refused).rejects.not.toThrow(/secret/);
    });
  });

  describe('read', () => {
    it('gives the whole content and exact parts', async () => {
      const url = origin.put('/parts', CONTENT);
      const backend = backendWith();
      const whole = await backend.read({ url, signal });
      expect(whole).toMatchObject({ isPartial: false, contentLengthBytes: 3_000_000, totalLengthBytes: 3_000_000 });
      expect((await readAll(whole)).equals(BYTES)).toBe(true);
      for (const [startBytes, lengthBytes] of [
        [0, 1],
        [1, 1_000_000],
        [2_999_999, 1],
        [0, 3_000_000],
      ] as const) {
        const part = await backend.read({ url, signal, range: { startBytes, lengthBytes } });
        expect(part).toMatchObject({ isPartial: true, contentLengthBytes: lengthBytes, totalLengthBytes: 3_000_000 });
        expect((await readAll(part, 100_000)).equals(BYTES.subarray(startBytes, startBytes + lengthBytes))).toBe(true);
      }
    });

    it('fills whole buffers, so that a piece can be received in place', async () => {
      const url = origin.put('/buffers', CONTENT);
      const body = await backendWith().read({ url, signal });
      const buffer = Buffer.alloc(1_000_000);
      for (const start of [0, 1_000_000, 2_000_000]) {
        await expect(body.readInto(buffer)).resolves.toBe(1_000_000);
        expect(buffer.equals(BYTES.subarray(start, start + 1_000_000))).toBe(true);
      }
      await expect(body.readInto(buffer)).resolves.toBe(0);
    });

    it('says when an origin ignores the range', async () => {
      const url = origin.put('/ignored', { content: CONTENT, ranges: false });
      const body = await backendWith().read({ url, signal, range: { startBytes: 1000, lengthBytes: 10 } });
      expect(body).toMatchObject({ isPartial: false, contentLengthBytes: 3_000_000 });
      body.cancel();
    });

    it.each([
      ['without pauses', 100_000, 0],
      ['with pauses', 100_000, PAUSE_TURNS],
      ['in one buffer', BYTES.length, 0],
      ['in buffers that the last byte fills', BYTES.length / 10, PAUSE_TURNS],
    ])('pours the content into a receiver %s', async (_how, stepBytes, pauseTurns) => {
      const url = origin.put('/poured', CONTENT);
      const backend = backendWith();
      const body = await backend.read({ url, signal });
      expect((await pourAll(body, stepBytes, pauseTurns)).equals(BYTES)).toBe(true);
      const unknown = origin.put('/poured-unknown', { content: CONTENT, unknownLength: true });
      const chunked = await backend.read({ url: unknown, signal });
      expect((await pourAll(chunked, stepBytes, pauseTurns)).equals(BYTES)).toBe(true);
    });

    it('pours the end of a connection that ends while the receiver has no room', async () => {
      const origin = await raw(({ socket }) => {
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 1003\r\nconnection: close\r\n\r\n${'x'.repeat(1003)}`);
      });
      const body = await backendWith().read({ url: origin.url(), signal });
      expect((await pourAll(body, 1000, PAUSE_TURNS)).toString()).toBe('x'.repeat(1003));
    });

    it('pours no more than the receiver wants, and reports what is missing at the end', async () => {
      const url = origin.put('/part', CONTENT);
      const body = await backendWith().read({ url, signal });
      expect((await pourAll(body, 70_000, 1, 150_000)).equals(BYTES.subarray(0, 150_000))).toBe(true);
      expect((await pourAll(body, 70_000, 1)).equals(BYTES.subarray(150_000))).toBe(true);
      const short = await fixed('HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n123');
      const cut = await backendWith({ idleTimeoutMs: 200 }).read({ url: short.url(), signal });
      await expect(pourAll(cut, 100, 0)).rejects.toMatchObject({ code: 'deadline-exceeded' });
    });

    it('ends with what the receiver throws', async () => {
      const body = await backendWith().read({ url: origin.put('/thrown', CONTENT), signal });
      const full = new DfError('no-space', 'the disk is full');
      let calls = 0;
      const nextBuffer = (): Uint8Array => {
        calls += 1;
        if (calls > 2) throw full;
        return Buffer.alloc(10_000);
      };
      await expect(body.pour({ nextBuffer, received: () => {} })).rejects.toBe(full);
    });

    it('reads content of unknown length', async () => {
      const url = origin.put('/unknown', { content: CONTENT, unknownLength: true });
      const body = await backendWith().read({ url, signal });
      expect(body.contentLengthBytes).toBeUndefined();
      expect((await readAll(body)).equals(BYTES)).toBe(true);
    });

    it.each([
      ['another start', 'bytes 1-10/100', 10],
      ['another end', 'bytes 0-8/100', 9],
      ['no Content-Range', '', 10],
      ['nonsense', 'bytes 0-9/5', 10],
      ['a length that contradicts it', 'bytes 0-9/100', 11],
    ])('refuses a part with %s', async (_, contentRange, length) => {
      const server = await fixed(
        `HTTP/1.1 206 Partial Content\r\n${contentRange === '' ? '' : `Content-Range: ${contentRange}\r\n`}Content-Length: ${length}\r\n\r\n${'x'.repeat(length)}`,
      );
      const lying = backendWith().read({ url: server.url(), signal, range: { startBytes: 0, lengthBytes: 10 } });
      await expect(lying).rejects.toMatchObject({ code: 'origin', details: { statusCode: 206 } });
    });

    it.each([8, 12])('refuses a chunked part of %i bytes instead of 10', async (length) => {
      const server = await fixed(
        `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/100\r\nTransfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n${'x'.repeat(length)}\r\n0\r\n\r\n`,
      );
      const body = await backendWith().read({ url: server.url(), signal, range: { startBytes: 0, lengthBytes: 10 } });
      await expect(readAll(body)).rejects.toMatchObject({ code: 'origin' });
    });

    it.each([
      ['length', { contentLengthBytes: 3_000_001 }, {}],
      ['ETag', { etag: '"old"' }, { etag: '"new"' }],
      ['Last-Modified', { lastModified: 'Mon' }, { 'last-modified': 'Tue' }],
    ])('notices by its %s that the content has changed', async (_, expected, headers) => {
      const url = origin.put('/changed', { content: CONTENT, headers });
      const range = { startBytes: 0, lengthBytes: 10 };
      await expect(backendWith().read({ url, signal, range, expected })).rejects.toMatchObject({
        code: 'origin',
        details: { changed: true, statusCode: 206 },
      });
    });

    it('takes a weak ETag and its strong form for the same version', async () => {
      const url = origin.put('/weak', { content: CONTENT, headers: { etag: 'W/"v1"' } });
      const body = await backendWith().read({ url, signal, expected: { etag: '"v1"', contentLengthBytes: 3_000_000 } });
      body.cancel();
    });

    it('reports a body that is cut short', async () => {
      const url = origin.put('/short', { content: CONTENT, breakAfterBytes: 100_000 });
      const body = await backendWith().read({ url, signal });
      await expect(readAll(body)).rejects.toMatchObject({
        code: expect.stringMatching(/^(origin|unavailable)$/) as string,
        retryable: true,
      });
      await expect(body.readInto(Buffer.alloc(1))).rejects.toMatchObject({ name: 'DfError' });
    });

    it('gives a stalled origin up after the idle time', async () => {
      const url = origin.put('/stall', { content: CONTENT, stallAfterBytes: 100_000 });
      const body = await backendWith({ idleTimeoutMs: 100 }).read({ url, signal });
      await expect(readAll(body)).rejects.toMatchObject({ code: 'deadline-exceeded' });
    });

    it.each(['breakAfterBytes', 'stallAfterBytes'] as const)(
      'hands out every byte that came before a failure (%s), so that none is fetched again',
      async (fault) => {
        const url = origin.put('/partly', { content: CONTENT, [fault]: 100_000 });
        const body = await backendWith({ idleTimeoutMs: 100 }).read({ url, signal });
        const buffer = Buffer.alloc(1 << 20);
        expect(await body.readInto(buffer)).toBe(100_000);
        expect(buffer.subarray(0, 100_000).equals(CONTENT.slice(0, 100_000))).toBe(true);
        await expect(body.readInto(buffer)).rejects.toMatchObject({ retryable: true });
      },
    );

    it('does not take a slow origin for a stalled one', async () => {
      const server = await raw(({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n');
        let sent = 0;
        const timer = setInterval(() => {
          socket.write('x');
          sent += 1;
          if (sent === 10) clearInterval(timer);
        }, 30);
      });
      const body = await backendWith({ idleTimeoutMs: 200 }).read({ url: server.url(), signal });
      await expect(readAll(body)).resolves.toHaveLength(10);
    });

    it('stops reading from the network while nobody reads the body', async () => {
      const sent = { bytes: 0 };
      const server = await raw(({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1 << 30}\r\n\r\n`);
        const block = Buffer.alloc(1 << 20);
        const pour = (): void => {
          while (!socket.destroyed && socket.write(block)) sent.bytes += block.length;
          sent.bytes += block.length;
          socket.once('drain', pour);
        };
        pour();
      });
      const body = await backendWith().read({ url: server.url(), signal });
      await body.readInto(Buffer.alloc(1000));
      let before = -1;
      // Until the kernel's buffers are full and the origin has to wait.
      await waitFor(
        () => {
          const isSteady = sent.bytes === before;
          before = sent.bytes;
          return isSteady;
        },
        { what: 'a full network', intervalMs: 100 },
      );
      expect(sent.bytes).toBeLessThan(32 << 20);
      body.cancel();
    });

    it('ends at once when it is cancelled, before, during and between reads', async () => {
      const url = origin.put('/cancelled', { content: CONTENT, stallAfterBytes: 100_000 });
      const backend = backendWith();
      await expect(backend.read({ url, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });

      const whole = new AbortController();
      const body = await backend.read({ url, signal: whole.signal });
      const reading = expect(readAll(body)).rejects.toMatchObject({ code: 'cancelled' });
      whole.abort();
      await reading;

      const one = new AbortController();
      const other = await backend.read({ url, signal });
      const waiting = expect(other.readInto(Buffer.alloc(200_000), one.signal)).rejects.toMatchObject({
        code: 'cancelled',
      });
      one.abort();
      await waiting;

      const late = new AbortController();
      const between = await backend.read({ url, signal: late.signal });
      await between.readInto(Buffer.alloc(10));
      late.abort();
      await expect(between.readInto(Buffer.alloc(10))).rejects.toMatchObject({ code: 'cancelled' });
      between.cancel();
    });

    it('is read by one caller at a time', async () => {
      const url = origin.put('/single', { content: CONTENT, stallAfterBytes: 10 });
      const body = await backendWith().read({ url, signal });
      const first = body.readInto(Buffer.alloc(100)).catch(() => undefined);
      await expect(body.readInto(Buffer.alloc(100))).rejects.toMatchObject({ code: 'failed-precondition' });
      await expect(body.readInto(Buffer.alloc(0))).rejects.toMatchObject({ code: 'invalid-argument' });
      body.cancel();
      await first;
    });
  });
});
