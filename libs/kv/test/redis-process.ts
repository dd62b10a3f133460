import { ChildService, freePort, RedisServer, tempDir } from '@dragonfly/testkit';

/** A Redis server of this test run that can go away and come back under the same address. */
export interface RedisProcess {
  readonly host: string;
  readonly port: number;
  /** Whether it is ours, so that it may be stopped. */
  readonly isOurs: boolean;
  stop(): Promise<void>;
  /** Kills it and starts it again, empty. */
  restart(): Promise<void>;
}

/**
 * The server at the URL; without one, Debian's binary on a free loopback port.
 * @returns the server, or why there is none
 */
export async function startRedis(url: string | undefined): Promise<RedisProcess | string> {
  if (url) {
    const { hostname, port } = new URL(url);
    const nothing = (): Promise<void> => Promise.resolve();
    return { host: hostname, port: Number(port || 6379), isOurs: false, stop: nothing, restart: nothing };
  }
  if (RedisServer.missingReason !== undefined) {
    return RedisServer.missingReason;
  }
  const directory = tempDir('kv');
  const port = await freePort();
  const start = (): Promise<ChildService> =>
    ChildService.start({
      name: 'redis-server',
      command: 'redis-server',
      args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory.path],
      readyOutput: /Ready to accept connections/,
    });
  let service = await start();
  return {
    host: '127.0.0.1',
    port,
    isOurs: true,
    stop: async () => {
      await service.stop();
      directory.remove();
    },
    restart: async () => {
      await service.kill('SIGKILL');
      service = await start();
    },
  };
}
