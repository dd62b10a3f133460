/**
 * A daemon for the tests of how dfget starts one. It appends how it was started to `$FAKE_DAEMON_LOG`, and behaves as
 * `$FAKE_DAEMON_MODE` says: `serve` (default), `die` with a message, `hang` without listening.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { LightServer } from '@dragonfly/light';

const { env, argv, pid } = process;
appendFileSync(env.FAKE_DAEMON_LOG, `${JSON.stringify({ pid, args: argv.slice(2), env })}\n`);

const handler = {
  hello: () => ({ version: '0.1.0', pid, host: { ip: '10.9.8.7', hostname: 'fake' } }),
  download: (request, emit) => {
    emit({ type: 'started', taskId: 't', peerId: 'p', contentLength: 5 });
    writeFileSync(request.output, 'hello');
    const traffic = { fromSource: 5, fromPeers: 0, fromSeed: 0, fromLocal: 0 };
    return Promise.resolve({ type: 'done', outcome: 'copied', contentLength: 5, taskId: 't', traffic });
  },
};

switch (env.FAKE_DAEMON_MODE ?? 'serve') {
  case 'die':
    console.error('some detail\ndfdaemon: storage.dir: permission denied');
    process.exit(1);
    break;
  case 'hang':
    setTimeout(() => process.exit(), 30_000);
    break;
  default: {
    const log = { debug: () => undefined, warn: () => undefined };
    await LightServer.start({ path: env.DRAGONFLY_DOWNLOAD__LIGHT_SOCKET_PATH, handler, log });
    // Nothing is left behind by a test that was cut off.
    setTimeout(() => process.exit(), 30_000);
  }
}
