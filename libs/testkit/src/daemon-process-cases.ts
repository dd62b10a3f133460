import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { ChildService } from './child-service.js';
import { runCommand } from './command.js';
import { freePorts } from './free-port.js';
import { tempDir, type TempDir } from './temp-dir.js';

/** A program around the engine of daemons, whose role shows in little more than its name. */
export interface DaemonProgram {
  /** As its output and its readiness name it. */
  readonly name: string;
  /** Absolute path of the built main file. */
  readonly main: string;
  /** What `/readyz` tells of, in its order. */
  readonly conditions: readonly string[];
}

/** One behaviour that the process of every role has; the spec gives it to its `it`. */
export interface DaemonProcessCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** @returns the same cases for every role. Each throws AssertionError, and leaves neither files nor processes behind */
export function daemonProcessCases(program: DaemonProgram): DaemonProcessCase[] {
  const { name, main, conditions } = program;
  return [
    caseOf('gets ready, takes SIGTERM, removes its sockets and ends with 0 (seed 003-1)', async (dir) => {
      const { file, healthPort, socket } = await aConfig(dir);
      const readyUrl = `http://127.0.0.1:${healthPort}/readyz`;
      const args = [main, 'daemon', '--config', file, '--console'];
      const service = await ChildService.start({ name, command: process.execPath, args, readyUrl });
      try {
        const status = (await (await fetch(readyUrl)).json()) as { service: string; conditions: object };
        assert.equal(status.service, name);
        assert.deepEqual(Object.keys(status.conditions), conditions);
        assert.ok(existsSync(socket), 'the socket is there');
      } finally {
        assert.equal(await service.stop(), 0);
      }
      assert.ok(!existsSync(socket), 'the socket is gone');
      assert.ok(!existsSync(dir.file('d.light.sock')), 'the light socket is gone');
      assert.ok(service.log().includes('"msg":"stopped"'), service.log());
    }),
    caseOf('tells its version and its flags', async () => {
      const version = await runCommand(process.execPath, [main, '--version']);
      assert.deepEqual([version.status, version.stdout], [0, `${name} 0.1.0\n`]);
      const help = await runCommand(process.execPath, [main, '--help']);
      assert.match(help.stdout, /config check \[--strict\]/);
    }),
    caseOf('says in one line why it cannot start, and ends with 1', async (dir) => {
      const file = dir.file('bad.yaml');
      await writeFile(file, 'upload: {server: {port: 123456}}\n');
      const ended = await runCommand(process.execPath, [main, '--config', file]);
      const line = `${name}: ${file}: upload.server.port: must be 0..65535\n`;
      assert.deepEqual([ended.status, ended.stderr], [1, line]);
    }),
    caseOf('checks a configuration, strictly if so wished', async (dir) => {
      const file = dir.file('typo.yaml');
      await writeFile(file, 'downlaod: {}\n');
      const args = [main, 'config', 'check', '--config', file];
      const lax = await runCommand(process.execPath, args);
      assert.equal(lax.status, 0);
      assert.match(lax.stdout, /did you mean download/);
      assert.equal((await runCommand(process.execPath, [...args, '--strict'])).status, 1);
    }),
  ];
}

function caseOf(name: string, run: (dir: TempDir) => Promise<void>): DaemonProcessCase {
  return {
    name,
    run: async () => {
      const dir = tempDir('daemon');
      try {
        await run(dir);
      } finally {
        dir.remove();
      }
    },
  };
}

async function aConfig(dir: TempDir): Promise<{ file: string; healthPort: number; socket: string }> {
  const [upload, pieces, health = 0, metrics] = await freePorts(4);
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
  return { file, healthPort: health, socket };
}
