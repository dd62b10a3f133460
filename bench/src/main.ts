/**
 * Benchmarks with the real processes: `pnpm bench NAME [--quick] [--rounds N] [--real DIR] [--reference PROGRAM] [--json FILE] [--dir DIR]`.
 *
 * Prints a table, and with --json (or at the end of the output) the same as JSON.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BENCHMARKS } from './benchmarks/all.ts';
import { machine, tableOf, type BenchmarkResult } from './measure/report.ts';
import { Origin } from './parts/origin.ts';

const ROUNDS = 5;
const QUICK_ROUNDS = 3;

const USAGE = `pnpm bench NAME... [options]
  NAME            ${Object.keys(BENCHMARKS).join(', ')}, or all
  --quick         ${QUICK_ROUNDS} rounds instead of ${ROUNDS}
  --rounds N      as many rounds
  --real DIR      compare with the released dfdaemon and dfget of this folder
  --reference P   compare the scheduler's transport with this gRPC server (bench/README.md says which), or the one in this folder
  --dir DIR       measure on the file system of this folder (default: ${tmpdir()})
  --json FILE     write the figures to FILE instead of printing them as JSON
`;

const { values, positionals } = commandLine();

process.exitCode = await main();

function commandLine() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        real: { type: 'string' },
        reference: { type: 'string' },
        dir: { type: 'string', default: tmpdir() },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

async function main(): Promise<number> {
  const names = positionals.includes('all') ? Object.keys(BENCHMARKS) : positionals;
  const unknown = names.find((name) => !(name in BENCHMARKS));
  if (values.help || names.length === 0 || unknown !== undefined) {
    process.stderr.write(unknown === undefined ? USAGE : `no benchmark ${unknown}\n${USAGE}`);
    return values.help ? 0 : 2;
  }
  const results: BenchmarkResult[] = [];
  for (const name of names) {
    const result = await run(name);
    results.push(result);
    process.stdout.write(`${tableOf(result)}\n`);
  }
  const json = JSON.stringify({ machine: machine(), results }, undefined, 2);
  if (values.json === undefined) process.stdout.write(`${json}\n`);
  else writeFileSync(values.json, `${json}\n`);
  return 0;
}

async function run(name: string): Promise<BenchmarkResult> {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) throw new Error(`no benchmark ${name}`);
  // A short path: sockets live below it.
  const directory = mkdtempSync(join(values.dir, 'df-bench-'));
  const origin = await Origin.start(join(directory, 'origin'));
  try {
    return await benchmark({
      directory,
      origin,
      rounds: values.rounds === undefined ? (values.quick ? QUICK_ROUNDS : ROUNDS) : Number(values.rounds),
      realBinaries: values.real,
      reference: values.reference,
      progress: (text) => process.stderr.write(`${text}\n`),
    });
  } finally {
    await origin.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
