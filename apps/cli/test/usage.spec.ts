import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { FLAGS } from '../src/flags.js';
import { VERSION } from '../src/version.js';
import { PROGRAM, runDfget, type DfgetEnd } from './run-dfget.js';

describe('dfget without a download', () => {
  let directory: TempDir;
  beforeEach(() => {
    directory = tempDir('cli');
  });
  afterEach(() => directory.remove());

  const dfget = (...words: string[]): Promise<DfgetEnd> => runDfget(words, { cwd: directory.path });

  it.each([['--version'], ['-V'], ['version']])('%s prints the version', async (word) => {
    expect(await dfget(word)).toMatchObject({ exitCode: 0, output: `dfget ${VERSION}\n`, error: '' });
  });

  it('has the version of its package', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(VERSION).toBe(manifest.version);
  });

  it('--help names every flag, variable and exit code, within 80 columns', async () => {
    const { exitCode, output, error } = await dfget('--help');
    expect({ exitCode, error }).toEqual({ exitCode: 0, error: '' });
    for (const flag of FLAGS) expect(output).toContain(`--${flag.name}`);
    for (const flag of FLAGS) expect(output).toContain('env' in flag ? flag.env : '');
    for (const code of ['0 the', '1 the', '2 the', '130', '143']) expect(output).toContain(code);
    expect(Math.max(...output.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(output).not.toContain('\x1b');
  });

  it.each([
    ['no URL', []],
    ['an unknown flag', ['--nope']],
    ['a flag that is not there yet', ['-r', 'http://h/']],
    ['a bad value', ['http://h/a', '--timeout', 'soon']],
  ])('ends with 2 for %s, on standard error', async (_what, words) => {
    const end = await dfget(...words);
    expect(end.exitCode).toBe(2);
    expect(end.output).toBe('');
    expect(end.error).toMatch(/^dfget: [^\n]+\n$/);
  });

  it.each([
    ['a directory that does not exist', 'missing/file', /the directory of the output does not exist/],
    ['a directory itself', '.', /the output is a directory; name the file in it/],
  ])('ends with 1 for an output in %s', async (_what, output, message) => {
    const end = await dfget('http://h/a', '-O', output);
    expect(end.exitCode).toBe(1);
    expect(end.error).toMatch(message);
  });

  it('does not hang where no directory can be made', async () => {
    const end = await dfget('-u=http://h/a', '-O', '/proc/none/deep/a');
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('cannot make the directory of the output');
  });

  it('works in a directory that has been removed, as far as the output lies elsewhere', async () => {
    const gone = directory.file('gone');
    mkdirSync(gone);
    const script = 'cd "$1" && rmdir "$1" && exec "$2" "$3" --version';
    const end = spawnSync('sh', ['-c', script, 'sh', gone, process.execPath, PROGRAM], { encoding: 'utf8' });
    expect(end.stdout).toBe(`dfget ${VERSION}\n`);
    expect(end.status).toBe(0);
  });
});
