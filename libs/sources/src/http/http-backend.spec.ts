import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { DfError } from '@dragonfly/errors';
import { Content, CountingOrigin, TEST_CERTIFICATE, TEST_KEY, waitFor } from '@dragonfly/testkit';
import { pourAll, readAll } from '../../test/bodies.js';
import { RawOrigin, type RawConnection } from '../../test/raw-origin.js';
import type { SourceBody } from '../source-backend.js';
import { HttpBackend, type HttpBackendOptions } from './http-backend.js';

const CONTENT = new Content(3_000_000);
const BYTES = CONTENT.slice();
const { signal } = new AbortController();
/** Turns of the event loop that a slow reader takes between two buffers: longer than the next bytes need. */
const PAUSE_TURNS = 20;

describe('HttpBackend', () => {
  let origin: CountingOrigin;
  const closing: { close(): Promise<void> }[] = [];

  const backendWith = (options: HttpBackendOptions = {}): HttpBackend => {
    const backend = new HttpBackend({ maxRetries: 0, ...options });
    closing.push(backend);
    return backend;
  };
  const raw = async (answer: (connection: RawConnection) => void): Promise<RawOrigin> => {
    const started = await RawOrigin.start(answer);
    closing.push(started);
    return started;
  };
  /** An origin that answers everything with these bytes. */
  const fixed = (bytes: string): Promise<RawOrigin> => raw(({ socket }) => socket.write(bytes, 'latin1'));

  beforeAll(async () => {
    origin = await CountingOrigin.start();
  });
  afterEach(async () => {
    for (const part of closing.splice(0)) await part.close();
  });
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

  describe('requests', () => {
    it('ask for the plain content, whatever the caller sends along', async () => {
      const server = await fixed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      await backendWith({ extraHeaders: { 'X-Extra': '1', Authorization: 'from settings' } }).read({
        url: `${server.url('/a%20b/c')}?q=%2F&x=1#part`,
        signal,
        headers: {
          Authorization: 'Bearer t',
          'Accept-Encoding': 'gzip',
          Range: 'bytes=0-1',
          'If-None-Match': '"x"',
          Connection: 'close',
        },
      });
      expect(server.heads[0]?.split('\r\n')).toEqual([
        'GET /a%20b/c?q=%2F&x=1 HTTP/1.1',
        `host: 127.0.0.1:${server.port}`,
        'x-extra: 1',
        'authorization: Bearer t',
        'user-agent: dragonfly/0.1.0',
        'accept: */*',
        'accept-encoding: identity',
      ]);
    });

    it('cannot be split by header values, names or URLs', async () => {
      const server = await fixed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      const backend = backendWith();
      const bad: Record<string, string>[] = [
        { a: 'b\r\nc: d' },
        { 'a\r\nb': 'c' },
        { a: '\0' },
        { a: 'ł' },
        { '': 'a' },
      ];
      for (const headers of bad) {
        await expect(backend.stat({ url: server.url(), signal, headers })).rejects.toMatchObject({
          code: 'invalid-argument',
        });
      }
      for (const url of ['ftp://host/', '/relative', 'http://', '']) {
        await expect(backend.stat({ url, signal })).rejects.toMatchObject({ code: 'invalid-argument' });
      }
      await backend.read({ url: `${server.url()}/a b\r\nx: y`, signal });
      expect(server.heads).toHaveLength(1);
      expect(server.heads[0]).not.toMatch(/^x: y/m);
    });

    it('use a connection again after a body was read, and not after it was given up', async () => {
      const server = await raw(({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'));
      const backend = backendWith();
      for (let round = 0; round < 3; round += 1) await readAll(await backend.read({ url: server.url(), signal }));
      expect(server.connectionCount).toBe(1);
      const body = await backend.read({ url: server.url(), signal });
      body.cancel();
      await readAll(await backend.read({ url: server.url(), signal }));
      expect(server.connectionCount).toBe(2);
    });

    it('do not reuse a connection that sent more than it should', async () => {
      const server = await raw(({ socket }) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n'),
      );
      const backend = backendWith();
      for (let round = 0; round < 2; round += 1) {
        expect((await readAll(await backend.read({ url: server.url(), signal }))).toString()).toBe('hello');
      }
      expect(server.connectionCount).toBe(2);
    });

    it('survive that the origin closed a kept connection', async () => {
      const server = await raw(({ socket, requestIndex }) => {
        if (requestIndex === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
        else socket.destroy();
      });
      const backend = backendWith();
      for (let round = 0; round < 3; round += 1) {
        expect((await readAll(await backend.read({ url: server.url(), signal }))).toString()).toBe('hello');
      }
      expect(server.connectionCount).toBe(3);
    });

    it('are repeated as often as allowed when a connection breaks before an answer', async () => {
      const server = await raw(({ socket, connectionIndex }) => {
        if (connectionIndex < 2) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
      });
      await expect(backendWith({ maxRetries: 1 }).read({ url: server.url(), signal })).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(server.connectionCount).toBe(2);
      const body = await backendWith({ maxRetries: 1 }).read({ url: server.url(), signal });
      await expect(readAll(body)).resolves.toHaveLength(5);
    });

    it('keep to the bound on connections', async () => {
      let open = 0;
      let most = 0;
      const server = await raw(({ socket }) => {
        open += 1;
        most = Math.max(most, open);
        setTimeout(() => {
          open -= 1;
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
        }, 5);
      });
      const backend = backendWith({ maxConnectionsPerOrigin: 3 });
      const bodies = await Promise.all(
        Array.from({ length: 20 }, async () => readAll(await backend.read({ url: server.url(), signal }))),
      );
      expect(bodies).toHaveLength(20);
      expect(most).toBe(3);
      expect(server.connectionCount).toBe(3);
    });

    it('that wait for a place can be cancelled', async () => {
      const server = await raw(() => undefined);
      const backend = backendWith({ maxConnectionsPerOrigin: 1 });
      const abort = new AbortController();
      const both = Promise.allSettled([1, 2].map(() => backend.read({ url: server.url(), signal: abort.signal })));
      await waitFor(() => server.heads.length === 1, { what: 'the first request' });
      abort.abort();
      for (const outcome of await both) expect(outcome).toMatchObject({ reason: { code: 'cancelled' } });
    });

    it('fail clearly when nobody listens, nothing answers or something else does', async () => {
      const gone = await raw(() => undefined);
      const goneUrl = gone.url();
      await gone.close();
      closing.pop();
      await expect(backendWith().stat({ url: goneUrl, signal })).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
      });

      const silent = await raw(() => undefined);
      const noAnswer = backendWith({ headersTimeoutMs: 50 }).read({ url: silent.url(), signal });
      await expect(noAnswer).rejects.toMatchObject({ code: 'deadline-exceeded' });

      const ssh = await fixed('SSH-2.0-OpenSSH\r\n\r\n');
      await expect(backendWith().read({ url: ssh.url(), signal })).rejects.toMatchObject({
        code: 'origin',
        details: { headers: {}, message: expect.stringContaining('malformed') as string },
      });

      const unknown = backendWith().stat({ url: 'http://no-such-host.invalid/', signal });
      await expect(unknown).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('bound the time for a head that trickles in', async () => {
      const server = await raw(({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nx: ');
        const timer = setInterval(() => socket.write('y'), 10);
        socket.once('close', () => {
          clearInterval(timer);
        });
      });
      const trickling = backendWith({ headersTimeoutMs: 100, idleTimeoutMs: 5000 }).read({ url: server.url(), signal });
      await expect(trickling).rejects.toMatchObject({ code: 'deadline-exceeded' });
    });

    it('reach origins by IPv6', async () => {
      const server = http.createServer((request, response) => response.end(request.headers.host));
      server.listen(0, '::1');
      try {
        await once(server, 'listening');
      } catch (error) {
        console.log(`not run: no IPv6 here (${String(error)})`);
        return;
      }
      const host = `[::1]:${(server.address() as AddressInfo).port}`;
      const body = await backendWith().read({ url: `http://${host}/`, signal });
      expect((await readAll(body)).toString()).toBe(host);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });

    it('bound the head of an answer', async () => {
      const endless = await raw(({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const pour = (): void => {
          while (!socket.destroyed && socket.write(`x: ${'y'.repeat(1000)}\r\n`));
          socket.once('drain', pour);
        };
        pour();
      });
      await expect(backendWith().read({ url: endless.url(), signal })).rejects.toMatchObject({ code: 'origin' });
    });

    it('skip interim answers, but not without end', async () => {
      const interim = 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n';
      const few = await fixed(`${interim.repeat(3)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`);
      await expect(readAll(await backendWith().read({ url: few.url(), signal }))).resolves.toHaveLength(2);
      const many = await fixed(interim.repeat(50));
      await expect(backendWith().read({ url: many.url(), signal })).rejects.toMatchObject({ code: 'origin' });
    });
  });

  describe('redirects', () => {
    it.each([301, 302, 303, 307, 308])('are followed (%i), with the credentials at the same origin', async (status) => {
      const server = await raw(({ socket, head }) =>
        socket.write(
          head.startsWith('GET /from')
            ? `HTTP/1.1 ${status} Moved\r\nLocation: /to?x=1\r\nContent-Length: 3\r\n\r\ngo!`
            : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
        ),
      );
      const body = await backendWith().read({ url: server.url('/from'), signal, headers: { authorization: 'secret' } });
      await expect(readAll(body)).resolves.toHaveLength(5);
      expect(server.heads[1]).toMatch(/^GET \/to\?x=1 /);
      expect(server.heads[1]).toContain('authorization: secret');
      expect(server.connectionCount).toBe(1);
    });

    it('to another host do not carry credentials along', async () => {
      const target = await fixed('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
      const server = await fixed(`HTTP/1.1 302 Found\r\nLocation: ${target.url('/to')}\r\nContent-Length: 0\r\n\r\n`);
      const headers = { Authorization: 'secret', Cookie: 'secret', 'X-Trace': 'kept', Host: 'virtual.example' };
      await readAll(await backendWith().read({ url: server.url(), signal, headers }));
      expect(server.heads[0]).toContain('host: virtual.example');
      expect(target.heads[0]).not.toContain('secret');
      expect(target.heads[0]).toContain('x-trace: kept');
      expect(target.heads[0]).toContain(`host: 127.0.0.1:${target.port}`);
    });

    it('are remembered per caller, until the target no longer serves', async () => {
      let isExpired = false;
      const target = await raw(({ socket, head }) =>
        socket.write(
          isExpired && head.includes('/signed-1')
            ? 'HTTP/1.1 403 Expired\r\nContent-Length: 0\r\n\r\n'
            : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
        ),
      );
      let asked = 0;
      const hub = await raw(({ socket }) => {
        asked += 1;
        socket.write(
          `HTTP/1.1 307 Temporary\r\nLocation: ${target.url(`/signed-${asked}`)}\r\nContent-Length: 0\r\n\r\n`,
        );
      });
      const backend = backendWith();
      const read = async (authorization: string): Promise<void> => {
        const body = await backend.read({ url: hub.url(), signal, headers: { authorization } });
        await expect(readAll(body)).resolves.toHaveLength(5);
      };
      await read('anna');
      await read('anna');
      expect(asked).toBe(1);
      await read('bert');
      expect(asked).toBe(2);
      isExpired = true;
      await read('anna');
      expect(asked).toBe(3);
      expect(target.heads.map((head) => /signed-\d/.exec(head)?.[0])).toEqual([
        'signed-1',
        'signed-1',
        'signed-2',
        'signed-1',
        'signed-3',
      ]);
      expect(target.heads.join()).not.toMatch(/anna|bert/);
    });

    it('that go round in circles, or out of HTTP, are an error of the origin', async () => {
      const loop = await fixed('HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n');
      await expect(backendWith().read({ url: loop.url(), signal })).rejects.toMatchObject({ code: 'origin' });
      expect(loop.heads).toHaveLength(11);
      const out = await fixed('HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n');
      await expect(backendWith().read({ url: out.url(), signal })).rejects.toMatchObject({ code: 'origin' });
    });
  });

  describe('TLS', () => {
    let server: https.Server;
    let url: string;

    beforeAll(async () => {
      server = https.createServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (request, response) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
        const [start, end] = range === null ? [0, BYTES.length - 1] : [Number(range[1]), Number(range[2])];
        response.writeHead(range === null ? 200 : 206, {
          'content-length': end - start + 1,
          'content-range': `bytes ${start}-${end}/${BYTES.length}`,
          'accept-ranges': 'bytes',
        });
        response.end(request.method === 'HEAD' ? undefined : BYTES.subarray(start, end + 1));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      url = `https://localhost:${(server.address() as AddressInfo).port}/file`;
    });
    afterAll(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });

    it('reads what a trusted origin sends', async () => {
      const backend = backendWith({ caCertificates: [TEST_CERTIFICATE] });
      await expect(backend.stat({ url, signal })).resolves.toMatchObject({
        contentLengthBytes: 3_000_000,
        supportsRange: true,
      });
      expect((await readAll(await backend.read({ url, signal }), 200_000)).equals(BYTES)).toBe(true);
      const range = { startBytes: 77, lengthBytes: 1_234_567 };
      const part = await readAll(await backend.read({ url, signal, range }));
      expect(part.equals(BYTES.subarray(77, 77 + 1_234_567))).toBe(true);
    });

    it.each([
      ['by buffers', (body: SourceBody) => readAll(body, 200_000, PAUSE_TURNS)],
      ['by a receiver that has no room at times', (body: SourceBody) => pourAll(body, 200_000, PAUSE_TURNS)],
    ])('loses no byte when it is read slowly, %s', async (_how, read) => {
      const backend = backendWith({ caCertificates: [TEST_CERTIFICATE] });
      // What was decrypted already goes on coming after a buffer is full.
      expect((await read(await backend.read({ url, signal }))).equals(BYTES)).toBe(true);
    });

    it('refuses an unknown certificate unless told otherwise', async () => {
      const backend = backendWith();
      await expect(backend.stat({ url, signal })).rejects.toMatchObject({ code: 'unavailable', retryable: false });
      await expect(backend.stat({ url, signal, insecureSkipVerify: true })).resolves.toMatchObject({ statusCode: 200 });
      await expect(backend.stat({ url, signal, caCertificates: [TEST_CERTIFICATE] })).resolves.toMatchObject({
        statusCode: 200,
      });
      // The trusting connections are not lent to a request that does not trust.
      await expect(backend.stat({ url, signal })).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('says in one line that a server speaks no TLS', async () => {
      const plain = http.createServer((_request, response) => response.end());
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
      const { port } = plain.address() as net.AddressInfo;
      const failure = await backendWith()
        .stat({ url: `https://127.0.0.1:${port}/`, signal })
        .catch((error: unknown) => error as Error);
      expect(failure).toMatchObject({
        message:
          `127.0.0.1:${port}: TLS handshake failed: wrong version number ` +
          '(does the server speak TLS on this port?)',
      });
      await new Promise((resolve) => plain.close(resolve));
    });

    it('goes through a proxy by a tunnel', async () => {
      const asked: string[] = [];
      const proxy = http.createServer();
      proxy.on('connect', (request, client: net.Socket) => {
        asked.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`);
        const [host, port] = (request.url ?? '').split(':');
        const upstream = net.connect(Number(port), host, () => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          client.pipe(upstream).pipe(client);
        });
        client.on('error', () => upstream.destroy());
        upstream.on('error', () => client.destroy());
      });
      proxy.listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const httpsProxy = `http://user:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const backend = backendWith({ caCertificates: [TEST_CERTIFICATE], proxy: { httpsProxy } });
      expect((await readAll(await backend.read({ url, signal }))).equals(BYTES)).toBe(true);
      expect(asked).toEqual([`${new URL(url).host} Basic ${Buffer.from('user:pass').toString('base64')}`]);
      await backend.close();
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    });

    it('reports a proxy that refuses', async () => {
      const proxy = await fixed('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      const backend = backendWith({ proxy: { httpsProxy: proxy.url('') } });
      await expect(backend.stat({ url, signal })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('407') as string,
      });
    });
  });

  it('sends plain requests through a proxy in absolute form', async () => {
    const proxy = await fixed('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    const httpProxy = `http://u:p@127.0.0.1:${proxy.port}`;
    const backend = backendWith({ proxy: { httpProxy, noProxy: '127.0.0.1' } });
    await expect(readAll(await backend.read({ url: 'http://far.example/x?y', signal }))).resolves.toHaveLength(5);
    expect(proxy.heads[0]).toMatch(/^GET http:\/\/far\.example\/x\?y HTTP\/1\.1\r\nhost: far\.example\r\n/);
    expect(proxy.heads[0]).toContain(`proxy-authorization: Basic ${Buffer.from('u:p').toString('base64')}`);
    const direct = origin.put('/direct', CONTENT);
    await expect(backend.stat({ url: direct, signal })).resolves.toMatchObject({ contentLengthBytes: 3_000_000 });
  });
});
