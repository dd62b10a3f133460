import type { LookupAddress } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AddressGuard, GuardedHttp, type ResolveHost } from '../src/index.js';
import { FakeRegistry } from '../src/testing/index.js';
import { TEST_CERTIFICATE, TEST_KEY } from '@dragonfly/testkit';

const LOOPBACK = new AddressGuard({ allow: ['loopback'] });

/** A resolver that knows the given names only. */
function names(table: Readonly<Record<string, readonly string[]>>): ResolveHost {
  return (hostname, callback) => {
    const found: LookupAddress[] = (table[hostname] ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    callback(null, found);
  };
}

describe('GuardedHttp', () => {
  let registry: FakeRegistry;
  let http: GuardedHttp;

  beforeEach(async () => {
    registry = await FakeRegistry.start();
    http = new GuardedHttp({ guard: LOOPBACK });
  });
  afterEach(async () => {
    await http.close();
    await registry.close();
  });

  it('refuses a literal address that is not allowed, in every way to write it', async () => {
    const strict = new GuardedHttp({ guard: new AddressGuard({ allow: ['private'] }) });
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254']) {
      await expect(strict.request({ url: `http://${host}:${registry.port}/v2/` })).rejects.toMatchObject({
        code: 'permission-denied',
      });
    }
    expect(registry.requests).toHaveLength(0);
    await strict.close();
  });

  it('refuses a name that resolves to an address that is not allowed', async () => {
    const strict = new GuardedHttp({ guard: new AddressGuard(), lookup: names({ 'evil.example': ['127.0.0.1'] }) });
    await expect(strict.request({ url: `http://evil.example:${registry.port}/` })).rejects.toMatchObject({
      code: 'permission-denied',
      message: expect.stringContaining('address 127.0.0.1 of evil.example is refused: loopback'),
    });
    await strict.close();
  });

  it('checks the address that is dialled, so that a name may not change its mind', async () => {
    let asked = 0;
    const rebinding: ResolveHost = (_, callback) => {
      asked += 1;
      callback(null, [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    const client = new GuardedHttp({ guard: LOOPBACK, lookup: rebinding, maxConnections: 1 });
    const url = `http://rebind.example:${registry.port}/v2/`;
    registry.override('/v2/', (response) => response.writeHead(200, { connection: 'close' }).end());
    await expect(client.request({ url })).resolves.toMatchObject({ statusCode: 200 });
    await expect(client.request({ url })).rejects.toMatchObject({ code: 'permission-denied' });
    await client.close();
  });

  it('dials the allowed ones among the addresses of a name', async () => {
    const client = new GuardedHttp({
      guard: LOOPBACK,
      lookup: names({ 'both.example': ['169.254.169.254', '127.0.0.1'] }),
    });
    await expect(client.request({ url: `http://both.example:${registry.port}/v2/` })).resolves.toMatchObject({
      statusCode: 200,
    });
    await client.close();
  });

  it('refuses a redirect to an address that is not allowed', async () => {
    registry.override('/away', (response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    );
    await expect(http.request({ url: `${registry.origin}/away` })).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('drops credentials on the way to another origin and keeps them on the same', async () => {
    const other = await FakeRegistry.start();
    registry.override('/here', (response) => response.writeHead(307, { location: '/v2/' }).end());
    registry.override('/there', (response) => response.writeHead(307, { location: `${other.origin}/v2/` }).end());
    const headers = { Authorization: 'Basic c2VjcmV0' };
    await http.request({ url: `${registry.origin}/here`, headers });
    await http.request({ url: `${registry.origin}/there`, headers });
    expect(registry.requests.at(1)).toMatchObject({ path: '/v2/', authorization: 'Basic c2VjcmV0' });
    expect(other.requests).toMatchObject([{ path: '/v2/', authorization: undefined }]);
    await other.close();
  });

  it('gives up on a ring of redirects, a redirect to nowhere and one to another scheme', async () => {
    registry.override('/ring', (response) => response.writeHead(302, { location: '/ring' }).end());
    registry.override('/nowhere', (response) => response.writeHead(302).end());
    registry.override('/file', (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
    await expect(http.request({ url: `${registry.origin}/ring` })).rejects.toThrow('too many redirects');
    expect(registry.requests).toHaveLength(6);
    await expect(http.request({ url: `${registry.origin}/nowhere` })).rejects.toMatchObject({ code: 'origin' });
    await expect(http.request({ url: `${registry.origin}/file` })).rejects.toMatchObject({ code: 'origin' });
  });

  it('does not follow a redirect with a POST', async () => {
    registry.override('/hook', (response) => response.writeHead(307, { location: '/v2/' }).end());
    const answer = await http.request({ url: `${registry.origin}/hook`, method: 'POST', body: '{}' });
    expect(answer.statusCode).toBe(307);
    expect(registry.requests).toHaveLength(1);
  });

  it('refuses an answer that is longer than allowed, whatever its header says', async () => {
    registry.override('/long', (response) => {
      response.writeHead(200);
      response.end(Buffer.alloc(100_000));
    });
    await expect(http.request({ url: `${registry.origin}/long`, maxBodyBytes: 99_999 })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringContaining('longer than 99999 bytes'),
    });
    await expect(http.request({ url: `${registry.origin}/long`, maxBodyBytes: 100_000 })).resolves.toMatchObject({
      statusCode: 200,
    });
  });

  it('ends in time when the answer never does', async () => {
    registry.override('/slow', (response) => {
      response.writeHead(200);
      response.write('x');
    });
    await expect(http.request({ url: `${registry.origin}/slow`, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
    const abort = new AbortController();
    const pending = http.request({ url: `${registry.origin}/slow`, signal: abort.signal });
    abort.abort();
    await expect(pending).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('does not show secrets of a URL in errors', async () => {
    const error: unknown = await new GuardedHttp({ guard: new AddressGuard() })
      .request({ url: `http://user:secret@127.0.0.1:${registry.port}/a?token=secret` })
      .catch((caught: unknown) => caught);
    expect(Error.isError(error) ? error.message : '').toContain('/a: address 127.0.0.1 is refused');
    expect(Error.isError(error) ? error.message : '').not.toContain('secret');
  });

  it.each(['ftp://x/', 'file:///etc/passwd', 'nonsense', ''])('refuses %j', async (url) => {
    await expect(http.request({ url })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('says that nobody listens', async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await expect(http.request({ url: `http://127.0.0.1:${port}/` })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('GuardedHttp over TLS', () => {
  let registry: FakeRegistry;

  beforeAll(async () => {
    registry = await FakeRegistry.start({ tls: { cert: TEST_CERTIFICATE, key: TEST_KEY } });
  });
  afterAll(() => registry.close());

  it.each([
    ['refuses a certificate that nobody vouches for', {}, 'unavailable'],
    ['accepts one that a given authority vouches for', { caCertificates: [TEST_CERTIFICATE] }, 200],
    ['accepts any when told so', { insecureSkipVerify: true }, 200],
  ])('%s', async (_, tls, expected) => {
    const http = new GuardedHttp({ guard: LOOPBACK, tls });
    const outcome = await http.request({ url: `${registry.origin}/v2/` }).then(
      ({ statusCode }) => statusCode,
      (error: { code: unknown }) => error.code,
    );
    expect(outcome).toBe(expected);
    await http.close();
  });

  it('refuses a redirect from https to http', async () => {
    registry.override('/down', (response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end());
    const http = new GuardedHttp({ guard: LOOPBACK, tls: { insecureSkipVerify: true } });
    await expect(http.request({ url: `${registry.origin}/down` })).rejects.toThrow('redirect from https to http');
    await http.close();
  });
});
