import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison } from '../measure/comparison.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { Cluster } from '../parts/cluster.ts';
import { curl, makesOf, settle, type BenchmarkContext } from './context.ts';

const FILES = [
  { name: '10KiB', lengthBytes: 10 * 1024 },
  { name: '100MiB', lengthBytes: 100 * 1024 ** 2 },
  { name: '1GiB', lengthBytes: 1024 ** 3 },
] as const;

/** Seed peer and peer each write one. */
const COPIES = 2;

/** Files that nobody has yet, through peer and seed peer: a whole dfget, against curl from the same origin. */
export async function cold(context: BenchmarkContext): Promise<BenchmarkResult> {
  const { origin, directory, rounds } = context;
  const comparison = new Comparison('wall s');
  for (const { name, lengthBytes } of FILES) await origin.put(name, lengthBytes);
  const clusters: { subject: string; cluster: Cluster }[] = [];
  try {
    for (const make of makesOf(context)) {
      const cluster = await Cluster.start({
        directory: join(directory, make.kind),
        name: `cold-${make.kind}`,
        make,
        seeds: 1,
        peers: 1,
      });
      clusters.push({ subject: make.kind === 'ours' ? 'seed → peer' : 'real seed → peer', cluster });
    }
    for (let round = 0; round <= rounds; round += 1) {
      context.progress(`cold, round ${round} of ${rounds}`);
      for (const { name, lengthBytes } of FILES) {
        const reference = `${name}: curl`;
        const { wallSeconds, cpuSeconds } = await curl(context, origin.url(name, 'curl'), lengthBytes);
        if (round > 0) comparison.add(round, reference, { 'wall s': wallSeconds, 'CPU s': cpuSeconds });
        for (const { subject, cluster } of clusters) {
          const figures = await coldFigures(context, cluster, name, `${subject.length}-${round}`);
          if (round > 0) comparison.add(round, `${name}: ${subject}`, figures, reference);
        }
      }
    }
  } finally {
    for (const { cluster } of clusters) await cluster.stop();
  }
  return {
    benchmark: 'cold',
    description: 'Files that nobody has, through peer and seed peer; the whole dfget, against curl to a file.',
    rows: comparison.rows(),
    notes: ['CPU is that of manager, scheduler, both daemons and dfget; of curl without nginx.'],
  };
}

async function coldFigures(context: BenchmarkContext, cluster: Cluster, name: string, version: string) {
  const [peer] = cluster.peers;
  if (peer === undefined) throw new Error('no peer');
  const url = context.origin.url(name, version);
  const output = join(context.directory, 'cold-output');
  const size = FILES.find((file) => file.name === name)?.lengthBytes ?? NaN;
  settle(context, COPIES * size);
  const before = cluster.cpuSeconds();
  const command = await peer.download(url, output);
  const used = cluster.cpuSeconds() - before + command.cpuSeconds;
  const { bodyBytes, requests } = await context.origin.sent(name, version);
  rmSync(output);
  for (const daemon of cluster.daemons) await daemon.forget(url);
  return {
    'wall s': command.wallSeconds,
    'CPU s': used,
    'origin bytes ÷ size': bodyBytes / size,
    'origin requests': requests,
  };
}
