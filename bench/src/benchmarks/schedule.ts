import { fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Comparison } from '../measure/comparison.ts';
import { cpuSeconds, rssMib } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { nextMessage, sleep } from '../parts/child-messages.ts';
import { Cluster } from '../parts/cluster.ts';
import type { BenchmarkContext } from './context.ts';
import type { LoadOrder, LoadResult } from './schedule-load.ts';

const STREAM_COUNTS = [1, 100, 1000] as const;
const WARM_UP_MS = 1500;
const WINDOW_MS = 3000;
const LOAD = fileURLToPath(new URL('schedule-load.ts', import.meta.url));

/** Announce conversations of 20 messages (register, started, 16 pieces, finished; one answer) without pauses. */
export async function schedule(context: BenchmarkContext): Promise<BenchmarkResult> {
  const comparison = new Comparison('scheduler CPU µs each');
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`schedule, round ${round} of ${context.rounds}`);
    // A new scheduler each round: it keeps what it has heard of.
    const cluster = await Cluster.start({
      directory: join(context.directory, `schedule-${round}`),
      name: 'schedule',
      make: { kind: 'ours' },
      seeds: 0,
      peers: 0,
    });
    const load = fork(LOAD, [cluster.schedulerAddress], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    try {
      await nextMessage(load);
      const { pid } = cluster.service('scheduler');
      const rssBefore = rssMib(pid);
      for (const streams of STREAM_COUNTS) {
        const order: LoadOrder = { streams, warmUpMs: WARM_UP_MS, windowMs: WINDOW_MS };
        const answer = nextMessage(load);
        load.send(order);
        await sleep(WARM_UP_MS);
        const before = cpuSeconds(pid);
        await sleep(WINDOW_MS);
        const used = cpuSeconds(pid) - before;
        const { conversations, registerP50Ms, registerP99Ms, knownPeers } = (await answer) as LoadResult;
        comparison.add(round, `${streams} ${streams === 1 ? 'stream' : 'streams'}`, {
          'conversations/s': conversations / (WINDOW_MS / 1000),
          'scheduler CPU µs each': (used / conversations) * 1e6,
          'register p50 ms': registerP50Ms,
          'register p99 ms': registerP99Ms,
          'known peers': knownPeers,
          'RSS MiB': rssMib(pid),
          'RSS before MiB': rssBefore,
        });
      }
    } finally {
      load.kill();
      await cluster.stop();
    }
  }
  return {
    benchmark: 'schedule',
    description: 'Announce conversations of 20 messages without pauses, closed loop, 16 connections.',
    rows: comparison.rows(),
    notes: [
      'The load runs on the same machine and takes more CPU than the scheduler: conversations/s is what both reach together.',
      'Known peers and RSS grow from row to row: nothing is forgotten during a round.',
    ],
  };
}
