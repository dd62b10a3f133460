import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Registry, Counter } from 'prom-client';
import { createLogger, Readiness, silentLogger, StatusServer } from './index.js';
import { formatForTerminal } from './logger.js';

describe('createLogger', () => {
  it('writes JSON lines with the service and the bound ids into its file', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'log-'));
    try {
      const file = path.join(directory, 'deep', 'peer.log');
      const log = createLogger({ service: 'peer', file, level: 'info' });
      log.debug('not written');
      log.child({ taskId: 't1' }).warn({ err: new Error('outer', { cause: new Error('inner') }) }, 'piece failed');
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        level: 'warn',
        service: 'peer',
        taskId: 't1',
        msg: 'piece failed',
        err: { message: 'outer', cause: { message: 'inner' } },
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('shows a line for people on a terminal', () => {
    const line = JSON.stringify({
      level: 'info',
      time: '2026-01-02T03:04:05.678Z',
      service: 'peer',
      taskId: 't 1',
      pieces: 3,
      msg: 'done',
    });
    expect(formatForTerminal(line)).toBe('03:04:05.678 INFO  done taskId="t 1" pieces=3\n');
  });
});

describe('Readiness', () => {
  it('is ready while every condition holds', async () => {
    const readiness = new Readiness('peer', ['a', 'b']);
    const ready = readiness.whenReady();
    readiness.set('a', true);
    expect(readiness.ready).toBe(false);
    readiness.set('b', true, 'fine');
    await ready;
    readiness.set('a', false, 'lost');
    expect(readiness.snapshot()).toEqual({
      service: 'peer',
      ready: false,
      conditions: { a: { ok: false, detail: 'lost' }, b: { ok: true, detail: 'fine' } },
    });
  });

  it('stops waiting when the caller gives up', async () => {
    const abort = new AbortController();
    const waiting = new Readiness('peer', ['a']).whenReady(abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('knows only declared conditions', () => {
    expect(() => {
      new Readiness('peer', ['a']).set('typo', true);
    }).toThrow(/no readiness condition typo/);
  });
});

describe('StatusServer', () => {
  async function serve(): Promise<{ server: StatusServer; readiness: Readiness; url: string }> {
    const readiness = new Readiness('scheduler', ['grpc-serving']);
    const registry = new Registry();
    new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc(2);
    const routes = {
      '/broken': (): void => {
        throw new Error('boom');
      },
    };
    const server = await StatusServer.start({
      host: '127.0.0.1',
      port: 0,
      readiness,
      registry,
      routes,
      log: silentLogger(),
    });
    return { server, readiness, url: `http://127.0.0.1:${server.port}` };
  }

  it('answers readiness with 503 and the conditions, then 200', async () => {
    const { server, readiness, url } = await serve();
    const before = await fetch(`${url}/readyz`);
    expect([before.status, await before.json()]).toEqual([
      503,
      { service: 'scheduler', ready: false, conditions: { 'grpc-serving': { ok: false } } },
    ]);
    readiness.set('grpc-serving', true);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    await server.close();
  });

  it.each([
    ['/healthy', 'GET', 200],
    ['/server/ping?x=1', 'GET', 200],
    ['/metrics', 'GET', 200],
    ['/metrics', 'POST', 405],
    ['/nothing', 'GET', 404],
    ['/broken', 'GET', 500],
  ])('answers %s by %s with %d', async (route, method, status) => {
    const { server, url } = await serve();
    expect((await fetch(url + route, { method })).status).toBe(status);
    await server.close();
  });

  it('names the address that it cannot have', async () => {
    const { server } = await serve();
    await expect(StatusServer.start({ host: '127.0.0.1', port: server.port, log: silentLogger() })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${server.port}`,
    );
    await server.close();
  });
});
