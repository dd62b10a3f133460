import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { ChildService, freePorts, runCommand, tempDir, type TempDir } from '@dragonfly/testkit';

jest.setTimeout(60_000);

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let dir: TempDir;

beforeEach(() => {
  dir = tempDir('seed-peer');
});

afterEach(() => {
  dir.remove();
});

async function aConfig(): Promise<{ file: string; healthPort: number; socket: string }> {
  const [upload, pieces, health, metrics] = await freePorts(4);
  const socket = dir.file('d.sock');
  const file = dir.file('dfdaemon.yaml');
  await writeFile(
    file,
    `host: {ip: 127.0.0.1, hostname: h}
upload: {server: {ip: 127.0.0.1, port: ${upload}}}
storage: {dir: ${dir.file('store')}, server: {ip: 127.0.0.1, tcpPort: ${pieces}}}
server: {cacheDir: ${dir.file('cache')}}
download: {server: {socketPath: ${socket}}}
health: {server: {ip: 127.0.0.1, port: ${health}}}
metrics: {server: {ip: 127.0.0.1, port: ${metrics}}}
dynconfig: {path: ${dir.file('none.yaml')}}
`,
  );
  return { file, healthPort: health ?? 0, socket };
}

describe('the seed-peer process', () => {
  it('gets ready, takes SIGTERM, removes its sockets and ends with 0 (seed 003-1)', async () => {
    const { file, healthPort, socket } = await aConfig();
    const readyUrl = `http://127.0.0.1:${healthPort}/readyz`;
    const service = await ChildService.start({
      name: 'seed-peer',
      command: process.execPath,
      args: [MAIN, 'daemon', '--config', file, '--console'],
      readyUrl,
    });
    const status = (await (await fetch(readyUrl)).json()) as { service: string; conditions: object };
    expect(status.service).toBe('seed-peer');
    expect(Object.keys(status.conditions)).toEqual([
      'grpc-serving',
      'piece-server',
      'dynconfig',
      'scheduler-available',
      'announced',
      'manager-registered',
    ]);
    expect(existsSync(socket)).toBe(true);
    expect(await service.stop()).toBe(0);
    expect(existsSync(socket)).toBe(false);
    expect(existsSync(dir.file('d.light.sock'))).toBe(false);
    expect(service.log()).toContain('"msg":"stopped"');
  });

  it('tells its version and its flags', async () => {
    const version = await runCommand(process.execPath, [MAIN, '--version']);
    expect(version).toMatchObject({ status: 0, stdout: 'seed-peer 0.1.0\n' });
    const help = await runCommand(process.execPath, [MAIN, '--help']);
    expect(help.stdout).toContain('config check [--strict]');
  });

  it('says in one line why it cannot start, and ends with 1', async () => {
    const file = dir.file('bad.yaml');
    await writeFile(file, 'upload: {server: {port: 123456}}\n');
    const ended = await runCommand(process.execPath, [MAIN, '--config', file]);
    expect(ended).toMatchObject({ status: 1, stderr: `seed-peer: ${file}: upload.server.port: must be 0..65535\n` });
  });

  it('checks a configuration, strictly if so wished', async () => {
    const file = dir.file('typo.yaml');
    await writeFile(file, 'downlaod: {}\n');
    const check = (...flags: string[]): ReturnType<typeof runCommand> =>
      runCommand(process.execPath, [MAIN, 'config', 'check', '--config', file, ...flags]);
    expect(await check()).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('did you mean download') as unknown,
    });
    expect(await check('--strict')).toMatchObject({ status: 1 });
  });
});
