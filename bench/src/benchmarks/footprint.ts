import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison } from '../measure/comparison.ts';
import { peakRssMib, resetPeakRss, rssMib } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { Cluster } from '../parts/cluster.ts';
import { makesOf, type BenchmarkContext } from './context.ts';

const FILE = '64MiB';
const FILE_BYTES = 64 * 1024 ** 2;
/** After all are ready. V8 gives back what only the start needed once a process has been idle for a while. */
const SETTLE_MS = 30_000;
const DOWNLOADS = 4;

/** Memory of every service, idle and after downloads, and how long each takes to be ready. */
export async function footprint(context: BenchmarkContext): Promise<BenchmarkResult> {
  const { origin, directory, rounds } = context;
  const comparison = new Comparison('idle RSS MiB');
  await origin.put(FILE, FILE_BYTES);
  for (let round = 1; round <= rounds; round += 1) {
    context.progress(`footprint, round ${round} of ${rounds}`);
    for (const make of makesOf(context)) {
      const cluster = await Cluster.start({
        directory: join(directory, `${make.kind}-${round}`),
        name: `footprint-${make.kind}`,
        make,
        seeds: 1,
        peers: 2,
      });
      try {
        const ready = rssOfAll(cluster);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const idle = rssOfAll(cluster);
        for (const { service } of cluster.started) resetPeakRss(service.pid);
        for (let download = 0; download < DOWNLOADS; download += 1) {
          const url = origin.url(FILE, `${make.kind}-${round}-${download}`);
          await Promise.all(
            cluster.peers.map(async (peer, index) => {
              const output = join(context.directory, `footprint-output-${index}`);
              await peer.download(url, output);
              rmSync(output);
            }),
          );
        }
        for (const { service, startSeconds } of cluster.started) {
          // Manager and scheduler are ours in both.
          const isDaemon = service.name.includes('peer');
          if (make.kind === 'real' && !isDaemon) continue;
          comparison.add(round, make.kind === 'real' ? `real ${service.name}` : service.name, {
            'start s': startSeconds,
            'ready RSS MiB': ready.get(service.name) ?? NaN,
            'idle RSS MiB': idle.get(service.name) ?? NaN,
            'peak RSS MiB': peakRssMib(service.pid),
          });
        }
      } finally {
        await cluster.stop();
      }
    }
  }
  return {
    benchmark: 'footprint',
    description: `Every service: time until ready, resident memory when all are and ${SETTLE_MS / 1000} s later, and its peak during ${DOWNLOADS} downloads of 64 MiB by both peers.`,
    rows: comparison.rows(),
    notes: ['The first daemon is the seed peer; ready means announced to the scheduler, and for the seed known to it.'],
  };
}

function rssOfAll(cluster: Cluster): ReadonlyMap<string, number> {
  return new Map(cluster.started.map(({ service }) => [service.name, rssMib(service.pid)]));
}
