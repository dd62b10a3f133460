/**
 * Compares scheduling strategies: `pnpm simulate [SCENARIO...] [--all]`. See docs/SCHEDULING.md.
 *
 * Every run has a process of its own, so that memory and time of one do not depend on another.
 */
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DfError } from '@dragonfly/errors';
import { htmlReport } from './report/html.js';
import { differenceTable, markdownTable, textTable } from './report/table.js';
import type { RunResult } from './run/result.js';
import type { RunMessage, RunOrder } from './run/worker.js';
import { type LoadedScenario, loadScenario, scenarioNames } from './scenario/load.js';
import { validate } from './validate/validate.js';

const DEFAULT_STRATEGIES = 'default,random,adaptive';

const USAGE = `pnpm simulate SCENARIO... [options]
Runs the scheduler in virtual time against a modelled network and compares strategies.

  SCENARIO           ${scenarioNames().join(', ')},
                     or the path of a YAML or JSON file
  --all              every scenario that comes with the package
  --strategies LIST  ${DEFAULT_STRATEGIES} (default), or paths of plugin modules
  --seed N           another run of chance (default 1)
  --runs N           repeat with the seeds N, N+1 … and tell how sure the differences are (default 1)
  --out DIR          where report.html, results.json and table.md go (default ./simulation)
  --validate         also run the scenario 'small' with real processes and compare
  --help             this text
`;

const OPTIONS = {
  all: { type: 'boolean', default: false },
  strategies: { type: 'string', default: DEFAULT_STRATEGIES },
  seed: { type: 'string', default: '1' },
  runs: { type: 'string', default: '1' },
  out: { type: 'string', default: 'simulation' },
  validate: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type CommandLine = ReturnType<typeof parseArgs<{ allowPositionals: true; options: typeof OPTIONS }>>;

try {
  process.exitCode = await start();
} catch (error) {
  process.stderr.write(`${error instanceof DfError ? error.message : (DfError.from(error).stack ?? String(error))}\n`);
  process.exitCode = 1;
}

async function start(): Promise<number> {
  let commandLine: CommandLine;
  try {
    commandLine = parseArgs({ allowPositionals: true, options: OPTIONS });
  } catch (error) {
    process.stderr.write(`simulate: ${DfError.from(error).message}\n\n${USAGE}`);
    return 2;
  }
  return main(commandLine);
}

async function main({ values, positionals }: CommandLine): Promise<number> {
  const names = values.all ? scenarioNames() : positionals;
  const seed = Number(values.seed);
  const runs = Number(values.runs);
  if (values.help || (names.length === 0 && !values.validate) || !Number.isInteger(seed) || !isRunCount(runs)) {
    process[values.help ? 'stdout' : 'stderr'].write(USAGE);
    return values.help ? 0 : 2;
  }
  // All before the first run: a mistake in the last file is not to cost the time of the others.
  const loaded = names.map((name) => ({ name, ...loadScenario(name) }));
  const out = path.resolve(values.out);
  if (loaded.length > 0) makeDirectory(out);
  const strategies = values.strategies.split(',').map((name) => name.trim());
  const results: RunResult[] = [];
  for (const one of loaded) {
    const group: RunResult[] = [];
    const all: RunResult[] = [];
    for (let run = 0; run < runs; run++) {
      for (const strategy of strategies) {
        const result = await runApart({ scenario: one.name, strategy, seed: seed + run });
        all.push(result);
        if (run === 0) group.push(result);
      }
    }
    clearProgress();
    process.stdout.write(`${textTable(group)}${differenceTable(all)}\n`);
    results.push(...group);
  }
  if (results.length > 0) writeReport(results, loaded, out);
  return values.validate ? await validateAgainstProcesses() : 0;
}

function isRunCount(runs: number): boolean {
  return Number.isSafeInteger(runs) && runs >= 1;
}

/** Step by step: on a file system that makes no directories, such as /proc, the recursive mkdir of Node never returns. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(path.dirname(directory));
  try {
    mkdirSync(directory);
  } catch (error) {
    throw new DfError('failed-precondition', `--out ${directory}: ${DfError.from(error).message}`, { cause: error });
  }
}

function writeReport(results: readonly RunResult[], loaded: readonly LoadedScenario[], out: string): void {
  const scenarios = new Map(loaded.map(({ scenario }) => [scenario.name, scenario]));
  writeFileSync(path.join(out, 'results.json'), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(path.join(out, 'report.html'), htmlReport(results, scenarios));
  writeFileSync(path.join(out, 'table.md'), markdownTable(results));
  process.stdout.write(`${path.join(out, 'report.html')}\n`);
}

/** One run in a process of its own. */
function runApart(order: RunOrder): Promise<RunResult> {
  const child = fork(new URL('./run/worker.js', import.meta.url), { execArgv: ['--expose-gc'] });
  return new Promise((resolve, reject) => {
    child.on('message', (message: RunMessage) => {
      switch (message.kind) {
        case 'progress':
          showProgress(`${order.scenario} ${order.strategy} ${message.ended}/${message.total}`);
          return;
        case 'result':
          resolve(message.result);
          return;
        case 'failure':
          reject(new DfError('invalid-argument', message.message));
          return;
      }
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      reject(new DfError('internal', `the run of ${order.scenario} with ${order.strategy} ended with ${code}`));
    });
    child.send(order);
  });
}

async function validateAgainstProcesses(): Promise<number> {
  let isWithinMargin = true;
  // Two strategies of which one is twice as slow: a model that only got one of them right would show.
  for (const strategy of ['default', 'random']) {
    const validation = await validate({ strategy, progress: showProgress });
    clearProgress();
    process.stdout.write(validation.text);
    isWithinMargin &&= validation.isWithinMargin;
  }
  return isWithinMargin ? 0 : 1;
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
}
