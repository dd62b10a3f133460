import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { Content, CountingOrigin, TEST_CERTIFICATE, TEST_KEY } from '@dragonfly/testkit';
import { pourAll, readAll } from '../../test/bodies.js';
import { Opened } from '../../test/opened.js';
import type { SourceBody } from '../source-backend.js';

const CONTENT = new Content(3_000_000);
const BYTES = CONTENT.slice();
const { signal } = new AbortController();
/** Turns of the event loop that a slow reader takes between two buffers: longer than the next bytes need. */
const PAUSE_TURNS = 20;

describe('HttpBackend over TLS and proxies', () => {
  let origin: CountingOrigin;
  const opened = new Opened();
  const { backendWith, fixed } = opened;

  beforeAll(async () => {
    origin = await CountingOrigin.start();
  });
  afterEach(() => opened.close());
  afterAll(() => origin.close());

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
