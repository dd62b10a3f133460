import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { tempDir, type TempDir, waitFor } from '@dragonfly/testkit';

/** The built program; `build` runs before `test`. */
const MAIN = path.resolve(import.meta.dirname, '../dist/main.js');

let directory: TempDir;

beforeEach(() => {
  directory = tempDir('scheduler-process');
});

afterEach(() => {
  directory.remove();
});

function configFile(extra = ''): string {
  const file = directory.file('scheduler.yaml');
  writeFileSync(
    file,
    `server: {port: 0, listenIP: 127.0.0.1, advertiseIP: 127.0.0.1, dataDir: ${directory.path}}\n` +
      `metrics: {addr: '127.0.0.1:0'}\n${extra}`,
  );
  return file;
}

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env: {}, timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

it('starts, serves, and ends with 0 on SIGTERM', async () => {
  const child = spawn(process.execPath, [MAIN, '--config', configFile()], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, 'exit');
  const line = await waitFor(() => output.split('\n').find((text) => text.includes('scheduler is serving')), {
    what: 'the line that says it serves',
  });
  const { statusPort } = JSON.parse(line) as { statusPort: number };
  expect((await fetch(`http://127.0.0.1:${statusPort}/readyz`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}, 20_000);

it('says what is wrong in one line and fails when a port is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const file = directory.file('scheduler.yaml');
  writeFileSync(file, `server: {port: ${port}, listenIP: 127.0.0.1}\nmetrics: {addr: '127.0.0.1:0'}\n`);
  const { code, stderr } = await run('--config', file);
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
  taken.close();
}, 20_000);

it('checks a configuration', async () => {
  const file = configFile('scheduler: {retryIntervall: 1s}\n');
  expect(await run('config', 'check', '--config', file)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/warning: .*retryIntervall[^]*: ok\n$/),
  });
  expect(await run('config', 'check', '--config', file, '--strict')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('retryIntervall'),
  });
}, 20_000);

it('refuses a wrong configuration before anything else, naming file and key', async () => {
  const { code, stderr } = await run('--config', configFile('scheduler: {waitTimeout: soon}\n'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/scheduler\.yaml: scheduler\.waitTimeout: /);
}, 20_000);

it('prints help and version', async () => {
  expect((await run('--help')).stdout).toContain('--config FILE');
  expect((await run('--version')).stdout).toMatch(/^scheduler \d+\.\d+\.\d+\n$/);
}, 20_000);
