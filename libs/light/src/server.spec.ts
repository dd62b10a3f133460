import { DfError } from '@dragonfly/errors';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LightClient } from './client.js';
import { encodeMessage, FrameReader, type JsonObject } from './frame.js';
import type { DoneMessage, LightDownloadRequest, ProgressMessage, StartedMessage } from './messages.js';
import { LightServer, type LightHandler, type LightServerOptions } from './server.js';

const NO_TRAFFIC = { fromSource: 0, fromPeers: 0, fromSeed: 0, fromLocal: 0 };
const STARTED: StartedMessage = { type: 'started', taskId: 't', peerId: 'p', contentLength: 10 };
const DONE: DoneMessage = {
  type: 'done',
  outcome: 'linked',
  contentLength: 10,
  taskId: 't',
  traffic: { ...NO_TRAFFIC, fromLocal: 10 },
};
const PROGRESS: ProgressMessage = {
  type: 'progress',
  completedLength: 5,
  contentLength: 10,
  ...NO_TRAFFIC,
  fromSource: 5,
};

const silentLog = { debug: () => undefined, warn: () => undefined };

function handlerWith(download: LightHandler['download']): LightHandler {
  return { hello: () => ({ version: '0.1.0', pid: 7, host: { ip: '127.0.0.1', hostname: 'h' } }), download };
}

/** Waits until the signal is aborted. */
async function untilAborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

describe('LightServer', () => {
  let directory: string;
  let socketPath: string;
  const open: { close(): unknown }[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'light-'));
    socketPath = path.join(directory, 'd.light.sock');
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((closable) => closable.close()));
    await rm(directory, { recursive: true, force: true });
  });

  async function serve(
    download: LightHandler['download'],
    options: Partial<LightServerOptions> = {},
  ): Promise<LightServer> {
    const server = await LightServer.start({
      path: socketPath,
      handler: handlerWith(download),
      log: silentLog,
      ...options,
    });
    open.push(server);
    return server;
  }

  async function connect(): Promise<LightClient> {
    const client = await LightClient.connect(socketPath);
    open.push(client);
    return client;
  }

  /** A client without our client's manners. */
  async function rawConnect(): Promise<{ socket: net.Socket; messages: JsonObject[]; closed: Promise<unknown> }> {
    const socket = net.connect(socketPath);
    const messages: JsonObject[] = [];
    const reader = new FrameReader();
    socket.on('data', (chunk) => messages.push(...reader.push(chunk)));
    open.push({ close: () => socket.destroy() });
    await once(socket, 'connect');
    return { socket, messages, closed: once(socket, 'close') };
  }

  it('answers hello', async () => {
    await serve(untilAbortedHandler);
    const client = await connect();
    expect(await client.hello()).toEqual({
      type: 'hello',
      version: '0.1.0',
      pid: 7,
      host: { ip: '127.0.0.1', hostname: 'h' },
    });
  });

  it('hands over the request, the messages in order and the outcome', async () => {
    let received: LightDownloadRequest | undefined;
    await serve(async (request, emit) => {
      received = request;
      emit(STARTED);
      emit(PROGRESS);
      return Promise.resolve(DONE);
    });
    const client = await connect();
    const seen: object[] = [];
    const done = await client.download(
      { url: 'http://h/a', output: '/tmp/ü' },
      { onStarted: (message) => seen.push(message), onProgress: (message) => seen.push(message) },
    );
    expect(received).toMatchObject({ url: 'http://h/a', output: '/tmp/ü' });
    expect(seen).toEqual([STARTED, PROGRESS]);
    expect(done).toEqual(DONE);
  });

  it('serves one exchange after the other on a connection', async () => {
    await serve(() => Promise.resolve(DONE));
    const client = await connect();
    await client.hello();
    await client.download({ url: 'http://h/a' });
    expect(await client.download({ url: 'http://h/b' })).toEqual(DONE);
  });

  it("tells the handler's error with code, message and details", async () => {
    await serve(() =>
      Promise.reject(
        new DfError('origin', 'origin says 404', { details: { statusCode: 404, headers: { a: 'b' }, big: 1n } }),
      ),
    );
    const client = await connect();
    await expect(client.download({ url: 'http://h/a' })).rejects.toMatchObject({
      code: 'origin',
      message: 'origin says 404',
      details: { statusCode: 404, headers: { a: 'b' }, big: '1' },
    });
  });

  it('tells an error without its details when they do not fit a frame', async () => {
    await serve(() => Promise.reject(new DfError('origin', 'too much', { details: { body: 'x'.repeat(2 ** 21) } })));
    const client = await connect();
    await expect(client.download({ url: 'http://h/a' })).rejects.toMatchObject({ code: 'origin', message: 'too much' });
  });

  it('refuses a bad request and names the field', async () => {
    await serve(() => Promise.resolve(DONE));
    const client = await connect();
    await expect(client.download({ url: 'nonsense' })).rejects.toMatchObject({
      code: 'invalid-argument',
      details: { field: 'request.url' },
    });
  });

  it.each<[how: string, leave: (socket: net.Socket) => void]>([
    ['closes', (socket) => socket.destroy()],
    ['half-closes', (socket) => socket.end()],
  ])('aborts the download when the client %s the connection', async (_how, leave) => {
    let begun: () => void = () => undefined;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    let reportEnd: (reason: unknown) => void = () => undefined;
    const ended = new Promise<unknown>((resolve) => (reportEnd = resolve));
    await serve(async (_request, _emit, signal) => {
      begun();
      await untilAborted(signal).catch((reason: unknown) => reportEnd(reason));
      throw signal.reason;
    });
    const { socket } = await rawConnect();
    socket.write(encodeMessage({ v: 1, type: 'download', request: { url: 'http://h/' } }));
    await hasBegun;
    leave(socket);
    expect(await ended).toMatchObject({ code: 'cancelled' });
  });

  it("aborts the download when the client's signal is aborted", async () => {
    const cancel = new AbortController();
    let reportEnd: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (reportEnd = resolve));
    await serve((_request, emit, signal) => {
      signal.addEventListener('abort', () => reportEnd());
      emit(STARTED);
      return untilAborted(signal);
    });
    const client = await connect();
    const download = client.download({ url: 'http://h/' }, { signal: cancel.signal, onStarted: () => cancel.abort() });
    await expect(download).rejects.toMatchObject({ code: 'cancelled' });
    await ended;
  });

  it('tells the client of a broken connection', async () => {
    await serve(() => Promise.resolve(DONE));
    const bystander = net.createServer((socket) => socket.destroy());
    const otherPath = path.join(directory, 'other.sock');
    bystander.listen(otherPath);
    open.push(bystander);
    await once(bystander, 'listening');
    const client = await LightClient.connect(otherPath);
    await expect(client.download({ url: 'http://h/' })).rejects.toMatchObject({
      code: 'unavailable',
      details: { isConnectionLost: true },
    });
  });

  it('ends a connection with bad frames, says why, and goes on serving others', async () => {
    await serve(() => Promise.resolve(DONE));
    const { socket, messages, closed } = await rawConnect();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
    expect(messages).toMatchObject([{ type: 'error', code: 'invalid-argument' }]);
    expect(await (await connect()).download({ url: 'http://h/' })).toEqual(DONE);
  });

  it('refuses a second message during a download and aborts the download', async () => {
    let reportEnd: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (reportEnd = resolve));
    await serve((_request, _emit, signal) => {
      signal.addEventListener('abort', () => reportEnd());
      return untilAborted(signal);
    });
    const { socket, messages, closed } = await rawConnect();
    socket.write(encodeMessage({ v: 1, type: 'download', request: { url: 'http://h/' } }));
    socket.write(encodeMessage({ v: 1, type: 'hello' }));
    await Promise.all([closed, ended]);
    expect(messages).toMatchObject([{ type: 'error', code: 'failed-precondition' }]);
  });

  it('drops progress for a client that does not read and still tells it the outcome', async () => {
    const emitted = 200_000;
    await serve((_request, emit) => {
      for (let count = 0; count < emitted; count++) emit(PROGRESS);
      return Promise.resolve(DONE);
    });
    const { socket, messages } = await rawConnect();
    socket.pause();
    socket.write(encodeMessage({ v: 1, type: 'download', request: { url: 'http://h/' } }));
    // The handler runs to its end in one turn of the server, whatever this client does.
    await (await connect()).hello();
    socket.resume();
    while (messages.at(-1)?.['type'] !== 'done') await once(socket, 'data');
    expect(messages.length).toBeLessThan(emitted / 10);
  });

  it('serves a bounded number of connections', async () => {
    await serve(() => Promise.resolve(DONE), { maxConnections: 1 });
    const first = await connect();
    await first.hello();
    const second = await rawConnect();
    await second.closed;
    expect(second.messages).toMatchObject([{ type: 'error', code: 'resource-exhausted' }]);
    expect(await first.download({ url: 'http://h/' })).toEqual(DONE);
  });

  it('closes a connection without a request after the idle time', async () => {
    await serve(() => Promise.resolve(DONE), { idleTimeoutMs: 20 });
    const { messages, closed } = await rawConnect();
    await closed;
    expect(messages).toMatchObject([{ type: 'error', code: 'deadline-exceeded' }]);
  });

  it('does not count a running download as idle', async () => {
    const socketTimeouts = 3;
    await serve(
      async () => {
        for (let count = 0; count < socketTimeouts; count++) await new Promise((resolve) => setTimeout(resolve, 25));
        return DONE;
      },
      { idleTimeoutMs: 20 },
    );
    expect(await (await connect()).download({ url: 'http://h/' })).toEqual(DONE);
  });

  it('gives the socket its permissions and leaves no other file', async () => {
    await serve(() => Promise.resolve(DONE), { mode: 0o600 });
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['d.light.sock']);
  });

  it('replaces the socket of a dead daemon', async () => {
    // A process that dies without closing leaves its socket behind.
    const script = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect((await lstat(socketPath)).isSocket()).toBe(true);
    await serve(() => Promise.resolve(DONE));
    expect(await (await connect()).download({ url: 'http://h/' })).toEqual(DONE);
  });

  it('refuses to replace a live daemon or a file that is not a socket', async () => {
    await serve(() => Promise.resolve(DONE));
    await expect(serve(() => Promise.resolve(DONE))).rejects.toMatchObject({ code: 'already-exists' });
    expect(await (await connect()).download({ url: 'http://h/' })).toEqual(DONE);

    const filePath = path.join(directory, 'file');
    await writeFile(filePath, 'precious');
    await expect(serve(() => Promise.resolve(DONE), { path: filePath })).rejects.toMatchObject({
      code: 'already-exists',
    });
    expect((await lstat(filePath)).isFile()).toBe(true);
  });

  it('refuses a path that no socket can have', async () => {
    const longPath = path.join(directory, 'x'.repeat(120));
    await expect(serve(() => Promise.resolve(DONE), { path: longPath })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });

  it('on close tells running downloads, aborts them and removes the socket', async () => {
    const server = await serve((_request, emit, signal) => {
      emit(STARTED);
      return untilAborted(signal);
    });
    const client = await connect();
    const started = new Promise<void>((resolve) => {
      client
        .download({ url: 'http://h/' }, { onStarted: () => resolve() })
        .then(() => undefined)
        .catch(() => undefined);
    });
    await started;
    await server.close();
    await expect(client.hello()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('does not remove the socket of a successor', async () => {
    const server = await serve(() => Promise.resolve(DONE));
    await rm(socketPath);
    await serve(() => Promise.resolve(DONE));
    await server.close();
    expect(await (await connect()).download({ url: 'http://h/' })).toEqual(DONE);
  });

  const untilAbortedHandler: LightHandler['download'] = (_request, _emit, signal) => untilAborted(signal);
});

describe('LightClient', () => {
  it('tells a missing socket from one without a daemon and one it may not use', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'light-'));
    try {
      const missing = path.join(directory, 'missing.sock');
      await expect(LightClient.connect(missing)).rejects.toMatchObject({
        code: 'unavailable',
        details: { errno: 'ENOENT' },
      });
      const file = path.join(directory, 'file');
      await writeFile(file, '');
      await chmod(file, 0o600);
      await expect(LightClient.connect(file)).rejects.toMatchObject({
        code: 'unavailable',
        details: { errno: 'ECONNREFUSED' },
      });
      const aborted = AbortSignal.abort();
      await expect(LightClient.connect(missing, { signal: aborted })).rejects.toMatchObject({ code: 'cancelled' });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
