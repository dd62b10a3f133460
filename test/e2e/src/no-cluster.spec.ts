import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { LightClient } from '@dragonfly/light';
import {
  Content,
  CountingOrigin,
  freePorts,
  runCommand,
  sha256OfFile,
  tempDir,
  waitFor,
  type Ended,
  type TempDir,
} from '@dragonfly/testkit';
import { DFGET } from './local-cluster.js';
import { isAlive, killAndWait } from './processes.js';

const TEST_TIMEOUT_MS = 60_000;

describe('dfget on a machine without a daemon', () => {
  let directory: TempDir;
  let origin: CountingOrigin;
  const content = new Content(9 * 1024 * 1024 + 5, 52);
  let url: string;
  let daemonPid: number | undefined;

  const workHome = (): string => directory.file('home');
  const lightSocket = (): string => path.join(workHome(), 'dfdaemon.light.sock');

  async function dfget(...flags: string[]): Promise<Ended> {
    const args = [`-u=${url}`, '-O', directory.file('output'), '--workhome', workHome(), ...flags];
    // No cluster of this working copy, no configuration of this account.
    return runCommand(DFGET, args, {
      env: { ...process.env, DRAGONFLY_HOME: directory.file('none'), HOME: directory.path, XDG_RUNTIME_DIR: '' },
    });
  }

  async function pidOfDaemon(): Promise<number> {
    const client = await LightClient.connect(lightSocket());
    try {
      return (await client.hello()).pid;
    } finally {
      client.close();
    }
  }

  beforeEach(async () => {
    directory = tempDir('nod');
    origin = await CountingOrigin.start();
    url = origin.put('/alone.bin', content);
    daemonPid = undefined;
  });

  afterEach(async () => {
    try {
      if (daemonPid !== undefined && isAlive(daemonPid)) await killAndWait(daemonPid, 'SIGTERM');
    } finally {
      await origin.close();
      directory.remove();
    }
  });

  it(
    'fetches from the source by itself and leaves no process (seed 002-52)',
    async () => {
      const ended = await dfget('--no-daemon');
      expect({ status: ended.status, text: ended.stdout + ended.stderr }).toEqual({
        status: 0,
        text: expect.stringContaining('download success: true') as string,
      });
      expect(await sha256OfFile(directory.file('output'))).toBe(content.sha256());
      expect(existsSync(lightSocket())).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );

  it('fails when it may neither start a daemon nor go to the source', async () => {
    const ended = await dfget('--no-daemon', '--disable-back-to-source');
    expect(ended.status).not.toBe(0);
    expect(existsSync(directory.file('output'))).toBe(false);
    expect(origin.bodyBytesSent()).toBe(0);
  });

  it(
    'starts a daemon that stays for the next download (seeds 002-52, 002-54)',
    async () => {
      const first = await dfget();
      expect({ status: first.status, text: first.stdout + first.stderr }).toEqual({
        status: 0,
        text: expect.any(String) as string,
      });
      daemonPid = await pidOfDaemon();
      expect(await sha256OfFile(directory.file('output'))).toBe(content.sha256());
      const sent = origin.bodyBytesSent();

      const second = await dfget();
      expect(second.status).toBe(0);
      expect(await sha256OfFile(directory.file('output'))).toBe(content.sha256());
      expect(origin.bodyBytesSent()).toBe(sent);
      expect(await pidOfDaemon()).toBe(daemonPid);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'starts a daemon that leaves when nobody has needed it for aliveTime',
    async () => {
      const config = directory.file('dfdaemon.yaml');
      writeFileSync(config, 'aliveTime: 6s\n');
      const ended = await dfget('--config', config);
      expect(ended.status).toBe(0);
      const pid = await pidOfDaemon();
      daemonPid = pid;
      await waitFor(() => !isAlive(pid), { what: 'the daemon to leave', timeoutMs: 40_000, intervalMs: 100 });
      expect(existsSync(lightSocket())).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'is the daemon itself when it is called dfget daemon (seed 003-1)',
    async () => {
      const config = directory.file('dfdaemon.yaml');
      const ports = await freePorts(6);
      const [grpc, pieces, proxy, health, metrics, stats] = ports;
      writeFileSync(
        config,
        [
          `download: { server: { socketPath: '${path.join(workHome(), 'dfdaemon.sock')}' } }`,
          `upload: { server: { ip: 127.0.0.1, port: ${grpc} } }`,
          `storage: { dir: '${directory.file('store')}', server: { ip: 127.0.0.1, tcpPort: ${pieces} } }`,
          `proxy: { server: { ip: 127.0.0.1, port: ${proxy} } }`,
          `health: { server: { ip: 127.0.0.1, port: ${health} } }`,
          `metrics: { server: { ip: 127.0.0.1, port: ${metrics} } }`,
          `stats: { server: { ip: 127.0.0.1, port: ${stats} } }`,
        ].join('\n'),
      );
      mkdirSync(workHome());
      const daemon = spawn(DFGET, ['daemon', '--config', config], { stdio: 'ignore' });
      const ended = new Promise((resolve) => daemon.once('exit', resolve));
      daemonPid = daemon.pid;
      await waitFor(() => existsSync(lightSocket()), { what: 'the socket of the daemon', timeoutMs: 20_000 });

      expect((await dfget('--disable-back-to-source')).status).not.toBe(0);
      expect((await dfget()).status).toBe(0);
      expect(await sha256OfFile(directory.file('output'))).toBe(content.sha256());

      daemon.kill('SIGTERM');
      expect(await ended).toBe(0);
      expect(existsSync(lightSocket())).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );
});
