import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison, type Figures } from '../measure/comparison.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { Cluster, type Daemon } from '../parts/cluster.ts';
import { makesOf, settle, type BenchmarkContext } from './context.ts';

const FILE = '256MiB';
const FILE_BYTES = 256 * 1024 ** 2;
const PEER_COUNTS = [1, 4, 8] as const;

/** One origin, one seed peer, 1, 4 and 8 peers that begin at the same moment: what the origin sends, and how long it takes. */
export async function fanout(context: BenchmarkContext): Promise<BenchmarkResult> {
  const { origin, directory, rounds } = context;
  const comparison = new Comparison('wall s');
  await origin.put(FILE, FILE_BYTES);
  for (const make of makesOf(context)) {
    const prefix = make.kind === 'ours' ? '' : 'real: ';
    const cluster = await Cluster.start({
      directory: join(directory, make.kind),
      name: `fanout-${make.kind}`,
      make,
      seeds: 1,
      peers: Math.max(...PEER_COUNTS),
    });
    try {
      for (let round = 0; round <= rounds; round += 1) {
        context.progress(`fanout (${make.kind}), round ${round} of ${rounds}`);
        for (const count of PEER_COUNTS) {
          const version = `${make.kind}-${round}-${count}`;
          const figures = await together(context, cluster, cluster.peers.slice(0, count), version);
          if (round === 0) continue;
          const reference = `${prefix}1 peer`;
          if (count === 1) comparison.add(round, reference, figures);
          else comparison.add(round, `${prefix}${count} peers`, figures, reference);
        }
      }
    } finally {
      await cluster.stop();
    }
  }
  return {
    benchmark: 'fanout',
    description: '256 MiB from one origin through one seed peer to several peers at once, against one peer alone.',
    rows: comparison.rows(),
    notes: [
      'All processes share the processors of one machine: with n peers n times the bytes are moved and stored.',
      'The origin ratio counts body bytes; each peer may ask once for the length with a range of one byte.',
    ],
  };
}

async function together(
  context: BenchmarkContext,
  cluster: Cluster,
  peers: readonly Daemon[],
  version: string,
): Promise<Figures> {
  const url = context.origin.url(FILE, version);
  const outputs = peers.map((_, index) => join(context.directory, `fanout-output-${index}`));
  settle(context, (peers.length + 1) * FILE_BYTES);
  const before = cluster.cpuSeconds();
  const startedAt = performance.now();
  await Promise.all(peers.map((peer, index) => peer.download(url, outputs[index] ?? '')));
  const wall = (performance.now() - startedAt) / 1000;
  const used = cluster.cpuSeconds() - before;
  const { bodyBytes } = await context.origin.sent(FILE, version);
  for (const output of outputs) rmSync(output);
  for (const daemon of [...cluster.seeds, ...peers]) await daemon.forget(url);
  return {
    'wall s': wall,
    'MiB/s together': (FILE_BYTES * peers.length) / 1024 ** 2 / wall,
    'origin bytes ÷ size': bodyBytes / FILE_BYTES,
    'CPU s': used,
  };
}
