import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison, type Figures } from '../measure/comparison.ts';
import { cpuSeconds, peakRssMib, resetPeakRss } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { Cluster } from '../parts/cluster.ts';
import { curl, makesOf, settle, type BenchmarkContext } from './context.ts';

const GIB = 1024 ** 3;
const FILE = '1GiB';
/** Each peer may ask the origin once for the length: a ranged GET of one byte. */
const MAX_STAT_BYTES = 16;
const REFERENCE = 'nginx → curl';

/**
 * 1 GiB in 4 MiB pieces from one peer, which has it, to another one, which has not: a whole dfget, from the start of the
 * process to its end. The reference is nginx → curl. Both write a new file and sync nothing; the reading side's file is in
 * the page cache on both sides.
 */
export async function transfer(context: BenchmarkContext): Promise<BenchmarkResult> {
  const { origin, directory, rounds } = context;
  const comparison = new Comparison('wall s');
  await origin.put(FILE, GIB);
  const clusters: { subject: string; cluster: Cluster }[] = [];
  try {
    for (const make of makesOf(context)) {
      const cluster = await Cluster.start({
        directory: join(directory, make.kind),
        name: `transfer-${make.kind}`,
        make,
        seeds: 0,
        peers: 2,
      });
      clusters.push({ subject: make.kind === 'ours' ? 'peer → peer' : 'real dfdaemon pair', cluster });
    }
    // Round 0 warms up the compiler and the page cache, and does not count.
    for (let round = 0; round <= rounds; round += 1) {
      context.progress(`transfer, round ${round} of ${rounds}`);
      const reference = await referenceFigures(context);
      if (round > 0) comparison.add(round, REFERENCE, reference);
      for (const { subject, cluster } of clusters) {
        const figures = await pairFigures(context, cluster, `${subject.length}-${round}`);
        if (round > 0) comparison.add(round, subject, figures, REFERENCE);
      }
    }
  } finally {
    for (const { cluster } of clusters) await cluster.stop();
  }
  return {
    benchmark: 'transfer',
    description: '1 GiB between two peers over loopback; the whole dfget, against nginx → curl to a file.',
    rows: comparison.rows(),
    notes: [
      'CPU of a pair is that of both daemons; dfget itself is counted apart. RSS is the peak during the download.',
    ],
  };
}

async function referenceFigures(context: BenchmarkContext): Promise<Figures> {
  const { origin } = context;
  const before = cpuSeconds(origin.service.pid);
  const { wallSeconds, cpuSeconds: clientCpu } = await curl(context, origin.url(FILE, 'curl'), GIB);
  const server = cpuSeconds(origin.service.pid) - before;
  return { 'wall s': wallSeconds, 'CPU s': server + clientCpu, 'parent CPU s': server, 'child CPU s': clientCpu };
}

async function pairFigures(context: BenchmarkContext, cluster: Cluster, version: string): Promise<Figures> {
  const [parent, child] = cluster.peers;
  if (parent === undefined || child === undefined) throw new Error('a pair has two peers');
  const url = context.origin.url(FILE, version);
  const [fill, output] = [join(context.directory, 'parent-output'), join(context.directory, 'child-output')];
  // The parent's own output stays until the end: touching a hard link makes a parent check its pieces once more.
  await parent.download(url, fill);
  settle(context, GIB);
  for (const { pid } of [parent, child]) resetPeakRss(pid);
  const [parentBefore, childBefore] = [cpuSeconds(parent.pid), cpuSeconds(child.pid)];
  const command = await child.download(url, output);
  const parentCpu = cpuSeconds(parent.pid) - parentBefore;
  const childCpu = cpuSeconds(child.pid) - childBefore;
  const figures = {
    'wall s': command.wallSeconds,
    'CPU s': parentCpu + childCpu,
    'parent CPU s': parentCpu,
    'child CPU s': childCpu,
    'dfget CPU s': command.cpuSeconds,
    'parent RSS MiB': peakRssMib(parent.pid),
    'child RSS MiB': peakRssMib(child.pid),
  };
  const { bodyBytes } = await context.origin.sent(FILE, version);
  if (bodyBytes > GIB + MAX_STAT_BYTES) {
    throw new Error(`the origin sent ${bodyBytes} bytes: the child did not fetch from the parent`);
  }
  rmSync(output);
  rmSync(fill);
  await child.forget(url);
  await parent.forget(url);
  return figures;
}
