import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A Redis server of this test run: an outside one (by URL), or Debian's binary on a free loopback port. */
export interface RedisProcess {
  host: string;
  port: number;
  /** Present only for a server that we started. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Whether stop and restart work. */
  isOurs: boolean;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** @returns the server, or why there is none */
export async function startRedis(url: string | undefined): Promise<RedisProcess | string> {
  if (url) {
    const { hostname, port } = new URL(url);
    const nothing = async (): Promise<void> => undefined;
    return { host: hostname, port: Number(port || 6379), isOurs: false, stop: nothing, restart: nothing };
  }
  const directory = await mkdtemp(join(tmpdir(), 'dragonfly-kv-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<string | undefined> => {
    const started = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    child = started;
    const failed = once(started, 'error').then(([error]) => `redis-server: ${(error as Error).message}`);
    const ready = (async () => {
      for await (const line of started.stdout as AsyncIterable<Buffer>) {
        if (line.includes('Ready to accept connections')) {
          return undefined;
        }
      }
      return 'redis-server ended before it was ready';
    })();
    return Promise.race([ready, failed]);
  };
  const kill = async (): Promise<void> => {
    if (child && child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  };
  const failure = await start();
  if (failure) {
    await rm(directory, { recursive: true, force: true });
    return failure;
  }
  return {
    host: '127.0.0.1',
    port,
    isOurs: true,
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
    restart: async () => {
      await kill();
      const problem = await start();
      if (problem) {
        throw new Error(problem);
      }
    },
  };
}
