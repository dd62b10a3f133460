import net from 'node:net';
import { LightServer } from '@dragonfly/light';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { DaemonWatch } from './daemon-watch.js';

const PATIENCE = { quietMs: 20, answerTimeoutMs: 100 };

describe('the watch over a daemon', () => {
  let directory: TempDir;
  let close: (() => Promise<unknown>) | undefined;

  beforeEach(() => {
    directory = tempDir('cli');
  });
  afterEach(async () => {
    await close?.();
    directory.remove();
  });

  const socketPath = (): string => directory.file('d.light.sock');

  it('finds a daemon that takes connections and says nothing', async () => {
    const held: net.Socket[] = [];
    const server = net.createServer((socket) => held.push(socket)).listen(socketPath());
    close = () => {
      for (const socket of held) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    };
    let watch: DaemonWatch | undefined;
    await new Promise<void>((resolve) => {
      watch = new DaemonWatch(socketPath(), resolve, PATIENCE);
    });
    expect(watch?.explain(new Error('closed'))).toMatchObject({
      code: 'unavailable',
      message: 'the daemon does not answer any more',
      details: { isConnectionLost: true },
    });
  });

  it('leaves a daemon alone that has nothing to tell but answers', async () => {
    let asked = 0;
    let onEnough: () => void = () => undefined;
    const enough = new Promise<void>((resolve) => (onEnough = resolve));
    const server = await LightServer.start({
      path: socketPath(),
      log: { debug: () => undefined, warn: () => undefined },
      handler: {
        hello: () => {
          asked += 1;
          if (asked === 3) onEnough();
          return { version: '0.1.0', pid: 1, host: { ip: '127.0.0.1', hostname: 'peer' } };
        },
        download: () => Promise.reject(new Error('not expected here')),
      },
    });
    close = () => server.close();
    let hasFrozen = false;
    const watch = new DaemonWatch(socketPath(), () => (hasFrozen = true), { quietMs: 20, answerTimeoutMs: 5_000 });
    await enough;
    watch.stop();
    expect(hasFrozen).toBe(false);
    expect(watch.explain(new Error('other'))).toMatchObject({ code: 'internal', message: 'other' });
  });
});
