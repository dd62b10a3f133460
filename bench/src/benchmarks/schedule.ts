import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WindowFigures } from '../load/conversations.ts';
import { Comparison, type Figures } from '../measure/comparison.ts';
import { cpuSeconds, rssMib } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { nextMessage, sleep } from '../parts/child-messages.ts';
import { Cluster } from '../parts/cluster.ts';
import { ReferenceServer } from '../parts/reference-server.ts';
import type { BenchmarkContext } from './context.ts';
import type { LoadOrder, Target } from './schedule-load.ts';
import { schedulerInside } from './schedule-inside.ts';

const STREAM_COUNTS = [1, 100, 1000] as const;
const WARM_UP_MS = 1500;
const WINDOW_MS = 3000;
const LOAD = fileURLToPath(new URL('schedule-load.ts', import.meta.url));

/**
 * Announce conversations of 20 messages (register, started, 16 pieces, finished; one answer) without pauses, the same
 * conversations with a server that does nothing but carry them, and what is inside the scheduler meanwhile.
 */
export async function schedule(context: BenchmarkContext): Promise<BenchmarkResult> {
  const speed = new Comparison('server CPU µs each');
  const inside = new Comparison('');
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`schedule, round ${round} of ${context.rounds}`);
    await withScheduler(context, `speed-${round}`, [], (scheduler) => measureSpeed(context, scheduler, speed, round));
    await withScheduler(context, `inside-${round}`, schedulerInside.flags, async ({ cluster, order }) => {
      for (const { subject, figures } of await schedulerInside.look(cluster.service('scheduler'), order)) {
        inside.add(round, subject, figures);
      }
    });
  }
  return {
    benchmark: 'schedule',
    description: 'Announce conversations of 20 messages without pauses, closed loop, 16 connections.',
    rows: [...speed.rows(), ...inside.rows()],
    notes: [
      context.reference === undefined
        ? 'no reference of the transport: give the interoperability server of grpc-go with --reference'
        : 'ratio: server CPU to that of the reference, which carries the same messages and does nothing with them',
      'the load runs on the same machine: its CPU stands beside that of the server',
      'shares: of the time in which the scheduler does something, as its own profiler sees it',
    ],
  };
}

/** A scheduler under load. */
interface LoadedScheduler {
  readonly cluster: Cluster;
  /** Asks the process that makes the load. */
  readonly order: (order: LoadOrder) => Promise<unknown>;
}

/** A new scheduler each time: it keeps what it has heard of. */
async function withScheduler(
  context: BenchmarkContext,
  name: string,
  schedulerFlags: readonly string[],
  use: (scheduler: LoadedScheduler) => Promise<void>,
): Promise<void> {
  const cluster = await Cluster.start({
    directory: join(context.directory, `schedule-${name}`),
    name: 'schedule',
    make: { kind: 'ours' },
    seeds: 0,
    peers: 0,
    schedulerFlags,
  });
  let load: ChildProcess | undefined;
  try {
    const started = fork(LOAD, [cluster.schedulerAddress], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    load = started;
    await nextMessage(started);
    const order = async (what: LoadOrder): Promise<unknown> => {
      const answer = nextMessage(started);
      started.send(what);
      return answer;
    };
    await use({ cluster, order });
  } finally {
    load?.kill();
    await cluster.stop();
  }
}

async function measureSpeed(
  { reference: program }: BenchmarkContext,
  { cluster, order }: LoadedScheduler,
  speed: Comparison,
  round: number,
): Promise<void> {
  const reference = program === undefined ? undefined : await ReferenceServer.start(program);
  try {
    if (reference !== undefined) await order({ kind: 'reference', address: reference.address });
    const pids = { scheduler: cluster.service('scheduler').pid, reference: reference?.service.pid };
    /** Both servers in turn, the reference first. @returns conversations a second of ours */
    const both = async (what: string, pace: { streams?: number; perSecond?: number }): Promise<number> => {
      const other = `reference, ${what}`;
      if (pids.reference !== undefined) {
        speed.add(round, other, await windowOf(order, 'reference', pids.reference, pace));
      }
      const figures = await windowOf(order, 'scheduler', pids.scheduler, pace);
      speed.add(round, `scheduler, ${what}`, figures, pids.reference === undefined ? undefined : other);
      return figures['conversations/s'] ?? 0;
    };
    let peak = 0;
    for (const streams of STREAM_COUNTS) {
      peak = Math.max(peak, await both(`${streams} ${streams === 1 ? 'stream' : 'streams'}`, { streams }));
    }
    await both('half the peak', { perSecond: peak / 2 });
  } finally {
    await reference?.service.stop();
  }
}

async function windowOf(
  order: LoadedScheduler['order'],
  target: Target,
  pid: number,
  pace: { streams?: number; perSecond?: number },
): Promise<Figures> {
  const answer = order({ kind: 'measure', target, pace, warmUpMs: WARM_UP_MS, windowMs: WINDOW_MS });
  await sleep(WARM_UP_MS);
  const before = cpuSeconds(pid);
  await sleep(WINDOW_MS);
  const used = cpuSeconds(pid) - before;
  const { conversations, messages, answerP50Ms, answerP99Ms, loadCpuSeconds } = (await answer) as WindowFigures;
  return {
    'conversations/s': conversations / (WINDOW_MS / 1000),
    'messages/s': messages / (WINDOW_MS / 1000),
    'server CPU µs each': (used / conversations) * 1e6,
    'load CPU µs each': (loadCpuSeconds / conversations) * 1e6,
    'answer p50 ms': answerP50Ms,
    'answer p99 ms': answerP99Ms,
    'RSS MiB': rssMib(pid),
  };
}
