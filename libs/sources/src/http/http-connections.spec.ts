import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@dragonfly/testkit';
import { readAll } from '../../test/bodies.js';
import { Opened } from '../../test/opened.js';
import { RawOrigin } from '../../test/raw-origin.js';

const { signal } = new AbortController();

describe('HttpBackend on its connections', () => {
  const opened = new Opened();
  const { backendWith, raw, fixed } = opened;

  afterEach(() => opened.close());

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
      const gone = await RawOrigin.start(() => undefined);
      const goneUrl = gone.url();
      await gone.close();
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
});
