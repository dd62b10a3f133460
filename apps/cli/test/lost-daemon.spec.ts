import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { FakeLightDaemon, serving } from './fake-daemon.js';
import { FakeGrpcDaemon, PIECE_BYTES, servingByGrpc } from './fake-grpc-daemon.js';
import { runDfget, type DfgetEnd } from './run-dfget.js';

const FAKE_DAEMON = fileURLToPath(new URL('./fake-daemon-process.mjs', import.meta.url));
const CONTENT = randomBytes(PIECE_BYTES + 17);
/** dfget waits ten seconds for a daemon that does not come back, and five for one that it starts. */
const WAITING_TEST_MS = 30_000;
/** Besides, it gives a silent one ten seconds to say who it is, and three at each look whether it is back. */
const FROZEN_TEST_MS = 60_000;

const WAITING =
  'dfget: warning: daemon is stopping; waiting up to 10 s for it to come back\n' +
  'dfget: warning: a daemon answers again; going on with what it has\n';

describe('dfget whose daemon goes away in the middle of a download', () => {
  let directory: TempDir;
  let origin: CountingOrigin;
  let url: string;
  const daemons: { close(): void | Promise<void> }[] = [];

  beforeEach(async () => {
    directory = tempDir('cli');
    origin = await CountingOrigin.start();
    url = origin.put('/a', CONTENT);
  });

  afterEach(async () => {
    for (const daemon of daemons.splice(0)) await daemon.close();
    await origin.close();
    directory.remove();
  });

  const dfget = (words: readonly string[], env?: NodeJS.ProcessEnv): Promise<DfgetEnd> =>
    runDfget([`-u=${url}`, '-e', directory.file('d.sock'), ...words], { cwd: directory.path, env });
  const output = (): Buffer => readFileSync(directory.file('a'));

  /**
   * A daemon that closes in the middle of each download.
   * @param onClosed when it has left its socket
   */
  async function startLeaving(onClosed: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const daemon: FakeLightDaemon = await FakeLightDaemon.start(directory.file('d.light.sock'), (_request, emit) => {
      emit({ type: 'started', taskId: 't', peerId: 'p', contentLength: CONTENT.length });
      void daemon.close().then(onClosed);
      return new Promise(() => undefined);
    });
    daemons.push(daemon);
  }

  async function startServing(): Promise<void> {
    daemons.push(
      await FakeLightDaemon.start(directory.file('d.light.sock'), serving(directory.file('store'), CONTENT)),
    );
  }

  it('goes on with the daemon when it comes back, and leaves the source alone', async () => {
    await startLeaving(startServing);
    const end = await dfget(['--no-daemon']);
    expect(end).toMatchObject({ exitCode: 0, error: WAITING });
    expect(output().equals(CONTENT)).toBe(true);
    expect(origin.requests).toEqual([]);
  });

  it('goes on also when it may not go to the source', async () => {
    await startLeaving(startServing);
    expect((await dfget(['--disable-back-to-source', '--no-daemon'])).exitCode).toBe(0);
    expect(output().equals(CONTENT)).toBe(true);
  });

  it('goes on with a daemon that has gRPC only', async () => {
    const socket = directory.file('d.sock');
    const first = await FakeGrpcDaemon.start(socket, (call) => {
      call.sendMetadata(call.metadata);
      first.close();
      void FakeGrpcDaemon.start(socket, servingByGrpc(directory.file('store'), CONTENT)).then((second) => {
        daemons.push(second);
      });
    });
    daemons.push(first);
    const end = await dfget(['--no-daemon']);
    expect(end.exitCode).toBe(0);
    expect(output().equals(CONTENT)).toBe(true);
    expect(origin.requests).toEqual([]);
    expect(readdirSync(directory.path).sort()).toEqual(['a', 'd.sock', 'store']);
  });

  it('gives up daemons after it has lost four, and fetches from the source', async () => {
    let started = 0;
    const startAnother = async (): Promise<void> => {
      started += 1;
      await startLeaving(startAnother);
    };
    await startAnother();
    const end = await dfget(['--no-daemon']);
    expect(end.exitCode).toBe(0);
    expect(end.error).toBe(
      `${WAITING.repeat(3)}dfget: warning: the daemon failed: daemon is stopping; fetching from the source instead\n`,
    );
    expect(output().equals(CONTENT)).toBe(true);
    await waitFor(() => started === 5, { what: 'the last daemon to be replaced' });
  });

  it(
    'fetches from the source when it does not come back',
    async () => {
      await startLeaving();
      const end = await dfget(['--no-daemon']);
      expect(end.exitCode).toBe(0);
      expect(end.error).toBe(
        'dfget: warning: daemon is stopping; waiting up to 10 s for it to come back\n' +
          'dfget: warning: the daemon failed: daemon is stopping; fetching from the source instead\n',
      );
      expect(output().equals(CONTENT)).toBe(true);
    },
    WAITING_TEST_MS,
  );

  it(
    'starts a daemon when it does not come back',
    async () => {
      await startLeaving();
      const log = directory.file('starts');
      const end = await dfget([], { DFGET_DFDAEMON: FAKE_DAEMON, FAKE_DAEMON_LOG: log });
      const { pid } = JSON.parse(readFileSync(log, 'utf8')) as { pid: number };
      process.kill(pid);
      expect(end.exitCode).toBe(0);
      expect(end.error).toBe(
        'dfget: warning: daemon is stopping; waiting up to 10 s for it to come back\n' +
          'dfget: warning: it did not come back; looking for another one, or starting one\n' +
          'dfget: warning: a daemon answers again; going on with what it has\n',
      );
      // What the started daemon gives.
      expect(output().toString()).toBe('hello');
      expect(origin.requests).toEqual([]);
    },
    WAITING_TEST_MS,
  );

  it('can be interrupted while it waits', async () => {
    let reportClosed: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => {
      reportClosed = resolve;
    });
    await startLeaving(() => {
      reportClosed();
      return Promise.resolve();
    });
    const end = await runDfget([url, '-O', 'a', '-e', directory.file('d.sock'), '--no-daemon'], {
      cwd: directory.path,
      signalWhen: closed,
    });
    expect(end.exitCode).toBe(130);
    expect(end.error).toMatch(/dfget: interrupted, nothing was written\n$/);
    expect(readdirSync(directory.path)).toEqual([]);
  });

  it(
    'gives up a daemon that is stopped but holds its socket, and goes to the source',
    async () => {
      const held: net.Socket[] = [];
      const frozen = net.createServer((socket) => held.push(socket)).listen(directory.file('d.light.sock'));
      await once(frozen, 'listening');
      daemons.push({
        close: () => {
          for (const socket of held) socket.destroy();
          frozen.close();
        },
      });
      const end = await dfget(['--no-daemon']);
      expect(end).toMatchObject({ exitCode: 0 });
      expect(end.error).toContain('the daemon does not answer any more');
      expect(output().equals(CONTENT)).toBe(true);
    },
    FROZEN_TEST_MS,
  );
});
