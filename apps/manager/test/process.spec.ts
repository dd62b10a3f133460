import { execFile } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ChildService, freePort, tempDir, type TempDir } from '@dragonfly/testkit';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const run = promisify(execFile);

interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the built program to its end. */
async function manager(...args: string[]): Promise<Finished> {
  try {
    return { code: 0, ...(await run(process.execPath, [MAIN, ...args], { timeout: 20_000 })) };
  } catch (error) {
    const { code, stdout, stderr } = error as Finished;
    return { code, stdout, stderr };
  }
}

describe('manager process', () => {
  let directory: TempDir;
  beforeEach(() => {
    directory = tempDir('manager-process');
  });
  afterEach(() => directory.remove());

  const config = (content: object): string => {
    const file = directory.file('manager.yaml');
    writeFileSync(file, JSON.stringify(content));
    return file;
  };

  it('tells its usage and its version', async () => {
    expect(await manager('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--insecure-dev') });
    expect(await manager('--version')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^manager \d+\.\d+\.\d+\n$/),
    });
    expect(await manager('--nope')).toMatchObject({ code: 2, stderr: expect.stringContaining('--nope') });
  });

  it('checks a configuration, with the object storage of v2.0.8 (seed 000-12)', async () => {
    const objectStorage = { enable: true, name: 'oss', accessKey: 'a', secretKey: 'b', endpoint: 'e', region: 'r' };
    expect(await manager('config', 'check', '--strict', '--config', config({ objectStorage }))).toMatchObject({
      code: 0,
    });
    expect(await manager('config', 'check', '--config', config({ objectStorage: { enable: true } }))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('objectStorage.secretKey: is required'),
    });
    const typo = config({ server: { rest: { adr: ':1' } } });
    expect(await manager('config', 'check', '--config', typo)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('did you mean'),
    });
    expect((await manager('config', 'check', '--strict', '--config', typo)).code).toBe(1);
  });

  it('says in one line why it cannot start', async () => {
    const missing = await manager('--config', directory.file('none.yaml'));
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/^manager: .*none\.yaml.*\n$/);
  });

  it('starts, gets ready, stops on SIGTERM with code 0 and starts again on the same data', async () => {
    const [restPort, grpcPort] = [await freePort(), await freePort()];
    const file = config({
      server: {
        workHome: directory.file('data'),
        grpc: { listenIP: '127.0.0.1', port: { start: grpcPort } },
        rest: { addr: `127.0.0.1:${restPort}` },
      },
    });
    for (let start = 0; start < 2; start += 1) {
      const service = await ChildService.start({
        name: 'manager',
        command: process.execPath,
        args: [MAIN, '--config', file, '--console', '--log-dir', directory.file('log')],
        readyUrl: `http://127.0.0.1:${restPort}/readyz`,
      });
      expect(statSync(directory.file('data/jwt.key')).mode & 0o777).toBe(0o600);
      expect(statSync(directory.file('log/manager.log')).size).toBeGreaterThan(0);
      const occupied = await manager('--config', file);
      expect(occupied).toMatchObject({ code: 1, stderr: expect.stringContaining(String(grpcPort)) });
      await service.stop();
      expect(service.exitCode).toBe(0);
    }
  });
});
