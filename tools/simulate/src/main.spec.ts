import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { runCommand, tempDir, type Ended, type TempDir } from '@dragonfly/testkit';
import type { RunResult } from './run/result.js';

const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const TEST_TIMEOUT_MS = 120_000;
// Each starts a process, on a machine that may be busy.
jest.setTimeout(TEST_TIMEOUT_MS);

let directory: TempDir;

beforeEach(() => {
  directory = tempDir('simulate');
});

afterEach(() => {
  directory.remove();
});

function run(...args: string[]): Promise<Ended> {
  return runCommand(process.execPath, [PROGRAM, ...args], { env: process.env });
}

/** The written results without what depends on the machine, as text. */
function resultsIn(folder: string): string {
  const results = JSON.parse(readFileSync(directory.file(folder, 'results.json'), 'utf8')) as RunResult[];
  return JSON.stringify(results.map((result) => ({ ...result, timing: undefined })));
}

it('--help tells how to use it', async () => {
  const { status, stdout } = await run('--help');
  expect(status).toBe(0);
  for (const word of ['--all', '--strategies', '--seed', '--runs', '--out', '--validate', 'flash-crowd']) {
    expect(stdout).toContain(word);
  }
});

it.each([
  ['nothing to do', [], 2, /SCENARIO/],
  ['a scenario that is not there', ['nonsense'], 1, /nonsense: neither a scenario/],
  ['a seed that is no number', ['small', '--seed', 'x'], 2, /SCENARIO/],
  ['a flag that is not there', ['small', '--fast'], 2, /^simulate: Unknown option '--fast'/],
  ['half a run', ['small', '--runs', '1.5'], 2, /SCENARIO/],
  ['a directory that cannot be made', ['small', '--out', '/proc/none/out'], 1, /^--out \/proc\/none: ENOENT/],
  ['a strategy that is not there', ['small', '--strategies', 'ml'], 1, /ml: neither a strategy nor a module/],
])('refuses %s in one line', async (_name, args, expected, message) => {
  const { status, stderr } = await run('--out', directory.file('out'), ...args);
  expect(status).toBe(expected);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ {4}at /m);
});

it(
  'writes table, report and the same figures for the same seed',
  async () => {
    const args = ['small', '--strategies', 'default,adaptive', '--seed', '7', '--runs', '2'];
    const { status, stdout } = await run(...args, '--out', directory.file('one'));
    expect(status).toBe(0);
    expect(stdout).toMatch(/small: 8 hosts, 8 downloads; lower bound/);
    expect(stdout).toMatch(/adaptive against default, 2 runs, 95 % confidence: makespan /);
    expect(readdirSync(directory.file('one')).sort()).toEqual(['report.html', 'results.json', 'table.md']);
    await run(...args, '--out', directory.file('other'));
    expect(resultsIn('other')).toBe(resultsIn('one'));
  },
  TEST_TIMEOUT_MS,
);
