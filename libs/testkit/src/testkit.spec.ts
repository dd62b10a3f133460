import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import {
  ChildService,
  Content,
  CountingOrigin,
  freePorts,
  MariaDbServer,
  PortBlock,
  RedisServer,
  tempDir,
  waitFor,
} from './index.js';

describe('Content', () => {
  it('gives the same bytes for a range as for the whole', () => {
    const content = new Content(200_001, 7);
    const whole = content.slice();
    expect(whole).toHaveLength(200_001);
    expect(content.slice(65_530, 131_080).equals(whole.subarray(65_530, 131_080))).toBe(true);
    expect(content.sha256()).toBe(createHash('sha256').update(whole).digest('hex'));
    expect(new Content(200_001, 8).slice().equals(whole)).toBe(false);
  });
});

describe('CountingOrigin', () => {
  let origin: CountingOrigin;
  beforeEach(async () => {
    origin = await CountingOrigin.start();
  });
  afterEach(async () => {
    await origin.close();
  });

  it('serves ranges and counts body bytes', async () => {
    const content = new Content(1_000_000);
    const url = origin.put('/file', content);
    const part = await fetch(url, { headers: { range: 'bytes=10-19' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 10-19/1000000']);
    expect(Buffer.from(await part.arrayBuffer()).equals(content.slice(10, 20))).toBe(true);
    const whole = await fetch(url);
    expect((await whole.arrayBuffer()).byteLength).toBe(1_000_000);
    expect(origin.bodyBytesSent('/file')).toBe(1_000_010);
  });

  it('can ignore ranges and hide the length', async () => {
    const url = origin.put('/file', { content: new Content(5000), ranges: false, unknownLength: true });
    const response = await fetch(url, { headers: { range: 'bytes=0-0' } });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, null]);
    expect((await response.arrayBuffer()).byteLength).toBe(5000);
  });

  it('can break off in mid-body and answer errors', async () => {
    const url = origin.put('/file', { content: new Content(5_000_000), breakAfterBytes: 100_000 });
    await expect(fetch(url).then((response) => response.arrayBuffer())).rejects.toThrow();
    expect((await fetch(origin.put('/gone', { content: Buffer.alloc(0), status: 503 }))).status).toBe(503);
    expect((await fetch(origin.url('/absent'))).status).toBe(404);
  });

  it('forgets a request that it has not answered when the caller goes away', async () => {
    const url = origin.put('/mute', { content: new Content(10), headDelayMs: 3_600_000 });
    const caller = new AbortController();
    const answer = fetch(url, { signal: caller.signal });
    await waitFor(() => origin.requestsOf('/mute').length === 1, { what: 'the request' });
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    caller.abort();
    await expect(answer).rejects.toThrow(/abort/);
    await waitFor(() => timers() < before, { what: 'the timer of the answer to be gone' });
  });

  it('answers an unsatisfiable range with 416', async () => {
    const url = origin.put('/file', new Content(10));
    expect((await fetch(url, { headers: { range: 'bytes=10-' } })).status).toBe(416);
  });
});

describe('ChildService', () => {
  it('keeps the output and ends the process by SIGTERM', async () => {
    const service = await ChildService.start({
      name: 'ticker',
      command: process.execPath,
      args: ['-e', "process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000); console.log('up')"],
      readyOutput: /up/,
    });
    expect(await service.stop()).toBe(3);
    expect(service.log()).toContain('up');
  });

  it('shows why a process did not start', async () => {
    const starting = ChildService.start({
      name: 'broken',
      command: process.execPath,
      args: ['-e', "console.error('no port left'); process.exit(1)"],
      readyUrl: 'http://127.0.0.1:1/readyz',
    });
    await expect(starting).rejects.toThrow(/broken ended at once \(code 1\):\s+no port left/);
  });
});

describe('waitFor', () => {
  it('names what it waited for in vain', async () => {
    await expect(waitFor(() => false, { what: 'the impossible', timeoutMs: 30 })).rejects.toThrow(
      'waited 30 ms for the impossible',
    );
  });
});

describe('tempDir and freePorts', () => {
  it('makes and removes a directory', () => {
    let path: string;
    {
      using directory = tempDir();
      path = directory.path;
      expect(existsSync(path)).toBe(true);
    }
    expect(existsSync(path)).toBe(false);
  });

  it('finds different ports', async () => {
    expect(new Set(await freePorts(5)).size).toBe(5);
  });
});

describe('PortBlock', () => {
  it('gives different ports to all who ask, and the same ones to nobody before they are released', async () => {
    const blocks = await Promise.all(Array.from({ length: 10 }, () => PortBlock.reserve(30)));
    expect(new Set(blocks.map(({ firstPort }) => Math.floor(firstPort / 200))).size).toBe(10);
    const [first] = blocks;
    await first?.release();
    const port = first?.firstPort ?? 0;
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port - 1, '127.0.0.1', resolve);
    });
    await new Promise((resolve) => server.close(resolve));
    await Promise.all(blocks.slice(1).map((block) => block.release()));
  });

  it('passes over ports that a program without a guard listens on', async () => {
    const before = await PortBlock.reserve(2, 0.5);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(before.firstPort + 1, '127.0.0.1', resolve);
    });
    await before.release();
    const block = await PortBlock.reserve(2, 0.5);
    expect(block.firstPort).toBeGreaterThan(before.firstPort);
    await block.release();
    await new Promise((resolve) => server.close(resolve));
  });

  it('refuses more ports than a slot has', async () => {
    await expect(PortBlock.reserve(200)).rejects.toThrow('at most 199');
  });
});

describe('database servers', () => {
  it('start where they are installed', async () => {
    const [redis, mariadb] = await Promise.all([RedisServer.startIfPresent(), MariaDbServer.startIfPresent()]);
    if (redis === undefined) console.log(`not tried: ${RedisServer.missingReason}`);
    if (mariadb === undefined) console.log(`not tried: ${MariaDbServer.missingReason}`);
    await mariadb?.createDatabase('probe');
    if (redis !== undefined) {
      expect(
        execFileSync('redis-cli', ['-p', String(redis.port), 'ping'])
          .toString()
          .trim(),
      ).toBe('PONG');
    }
    await Promise.all([redis?.stop(), mariadb?.stop()]);
    expect(redis === undefined).toBe(RedisServer.missingReason !== undefined);
    expect(mariadb === undefined).toBe(MariaDbServer.missingReason !== undefined);
  }, 90_000);
});
