import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { quietLog } from '../test/store-fixtures.js';
import { PieceStore } from './piece-store.js';

const HOLDER = fileURLToPath(new URL('../test/hold-store.mjs', import.meta.url));

describe('the directory of a piece store', () => {
  let directory: TempDir;
  const children: ChildProcess[] = [];

  const open = (): Promise<PieceStore> => PieceStore.open({ directory: directory.path, log: quietLog });
  /** Another process that opens the store and keeps it. */
  const hold = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [HOLDER, directory.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [output] = (await once(child.stdout, 'data')) as [Buffer];
    if (!output.toString().startsWith('open')) throw new Error(output.toString());
    return child;
  };

  beforeEach(() => {
    directory = tempDir('lock');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    directory.remove();
  });

  it('is refused while another process has it, naming that process', async () => {
    const holder = await hold();
    await expect(open()).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining(`in use by process ${holder.pid}`) as string,
      details: { pid: holder.pid },
    });
  });

  it('is refused within one process, too', async () => {
    const store = await open();
    await expect(open()).rejects.toMatchObject({ code: 'failed-precondition', details: { pid: process.pid } });
    await store.close();
    await (await open()).close();
  });

  it('is refused while its holder is stopped', async () => {
    const holder = await hold();
    holder.kill('SIGSTOP');
    await expect(open()).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  it('is taken over at once from a process that was killed', async () => {
    const holder = await hold();
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const store = await open();
    await store.close();
    expect(readdirSync(directory.path).sort()).toEqual(['data', 'journal', 'version']);
  });

  it('goes to exactly one of several processes that take it over together', async () => {
    const dead = await hold();
    dead.kill('SIGKILL');
    await once(dead, 'exit');
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => hold()));
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
  });

  it('can lie deeper than a socket address reaches', async () => {
    const deep = path.join(directory.path, 'd'.repeat(100), 'e'.repeat(100));
    const store = await PieceStore.open({ directory: deep, log: quietLog });
    await expect(PieceStore.open({ directory: deep, log: quietLog })).rejects.toMatchObject({
      code: 'failed-precondition',
    });
    await store.close();
  });

  it('is refused when a Rust dfdaemon lives there, and is left untouched', async () => {
    mkdirSync(directory.file('metadata'));
    mkdirSync(directory.file('content', 'tasks'), { recursive: true });
    await expect(open()).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/belongs to a Rust dfdaemon.*another storage.dir/) as string,
    });
    expect(readdirSync(directory.path).sort()).toEqual(['content', 'metadata']);
  });

  it('is refused with an unknown format version, saying how to get on', async () => {
    writeFileSync(directory.file('version'), 'dragonfly-piece-store 99\n');
    await expect(open()).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/"dragonfly-piece-store 99".*wipe it \(rm -r/) as string,
    });
    writeFileSync(directory.file('version'), 'dragonfly-piece-store 1\n');
    await (await open()).close();
  });
});
