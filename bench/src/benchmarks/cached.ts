import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison } from '../measure/comparison.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { runCommand } from '../measure/run-command.ts';
import { median } from '../measure/statistics.ts';
import { Cluster } from '../parts/cluster.ts';
import { makesOf, type BenchmarkContext } from './context.ts';

const FILE = '100MB';
const FILE_BYTES = 100_000_000;
const REFERENCE = 'node -e 0';
/** Runs of each command a round; the round's figure is their median. */
const RUNS_PER_ROUND = 7;

/** dfget of a file that the peer has: a whole process each time, against the cheapest process that Node can be. */
export async function cached(context: BenchmarkContext): Promise<BenchmarkResult> {
  const { origin, directory, rounds } = context;
  const comparison = new Comparison('wall s');
  await origin.put(FILE, FILE_BYTES);
  const url = origin.url(FILE, 'cached');
  const output = join(directory, 'cached-output');
  const clusters: { subject: string; cluster: Cluster }[] = [];
  try {
    for (const make of makesOf(context)) {
      const cluster = await Cluster.start({
        directory: join(directory, make.kind),
        name: `cached-${make.kind}`,
        make,
        seeds: 0,
        peers: 1,
      });
      clusters.push({ subject: make.kind === 'ours' ? 'dfget' : 'real dfget', cluster });
    }
    const commands = [
      { subject: REFERENCE, reference: undefined, run: () => runCommand(process.execPath, ['-e', '0']) },
      ...clusters.map(({ subject, cluster }) => ({
        subject,
        reference: REFERENCE,
        run: async () => {
          const figures = await cluster.peers[0]?.download(url, output);
          if (figures === undefined) throw new Error('no peer');
          rmSync(output);
          return figures;
        },
      })),
    ];
    // Round 0 downloads the file and warms up.
    for (let round = 0; round <= rounds; round += 1) {
      context.progress(`cached, round ${round} of ${rounds}`);
      const walls = new Map<string, number[]>();
      for (let run = 0; run < RUNS_PER_ROUND; run += 1) {
        for (const { subject, run: measure } of commands) {
          walls.set(subject, [...(walls.get(subject) ?? []), (await measure()).wallSeconds]);
        }
      }
      for (const { subject, reference } of round === 0 ? [] : commands) {
        comparison.add(round, subject, { 'wall s': median(walls.get(subject) ?? []) }, reference);
      }
    }
  } finally {
    for (const { cluster } of clusters) await cluster.stop();
  }
  return {
    benchmark: 'cached',
    description: `dfget of a stored file of ${FILE_BYTES / 1e6} MB, the whole process, against node -e 0.`,
    rows: comparison.rows(),
    notes: [`Each round is the median of ${RUNS_PER_ROUND} runs of each command, in turns.`],
  };
}
