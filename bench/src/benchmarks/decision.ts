import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  AdaptiveStrategy,
  type CandidateLimits,
  canBeParent,
  defaultStrategy,
  type Peer,
  randomStrategy,
  selectParents,
  type Strategy,
  type Task,
} from '@dragonfly/scheduling';
import { aHost, aPeer, aTask } from '@dragonfly/scheduling/testing';
import { Comparison } from '../measure/comparison.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { quantile } from '../measure/statistics.ts';
import type { BenchmarkContext } from './context.ts';

const TASK_SIZES = [1000, 10_000, 100_000];
const CONSIDERED = [15, 100, 1000];
const CHILDREN = 100;
/** Decisions that are timed for one figure; fewer of the dear ones. */
const DECISIONS = { most: 2000, candidatesInAll: 100_000 };
const REFERENCE = 'copy all, sort all';

/**
 * The choice of parents alone, without messages: how long it takes by candidates considered and by peers of the task, and
 * what known peers cost in memory. The reference is the plain way: copy all peers of the task, shuffle, filter, score, sort.
 */
export async function decision({ rounds, progress }: BenchmarkContext): Promise<BenchmarkResult> {
  const comparison = new Comparison('median us');
  let nowMs = NOW_MS;
  for (const size of TASK_SIZES) {
    const { task, children } = crowd(size);
    const strategies = [defaultStrategy, randomStrategy(), taught(task, children)];
    for (let round = 0; round <= rounds; round += 1) {
      progress(`decision: ${size} peers, round ${round} of ${rounds}`);
      for (const considered of CONSIDERED) {
        const reference = `${REFERENCE}, ${considered} of ${size}`;
        // Round 0 warms up.
        const add = (subject: string, choose: (child: Peer) => unknown, isReference = false): void => {
          const figures = timed(choose, children, considered, isReference ? size : considered);
          if (round > 0) comparison.add(round, subject, figures, isReference ? undefined : reference);
        };
        add(reference, (child) => plainChoice(child, limitsOf(considered)), true);
        for (const strategy of strategies) {
          add(`${strategy.name}, ${considered} of ${size}`, (child) =>
            // Time goes on between decisions: what a strategy computes ahead has to be computed anew now and then.
            selectParents(child, limitsOf(considered), strategy, (nowMs += DECISION_INTERVAL_MS), Math.random),
          );
        }
      }
    }
  }
  const memory = new Comparison('MiB per 10,000 peers');
  for (let round = 1; round <= rounds; round += 1) {
    for (const pieces of [0, 64, 1000]) {
      memory.add(round, `known peers, ${pieces} pieces each`, { 'MiB per 10,000 peers': memoryMib(pieces) });
    }
  }
  return {
    benchmark: 'decision',
    description: 'choosing 3 parents: filter and score so many candidates of a task with so many peers, microseconds',
    rows: [...comparison.rows(), ...memory.rows()],
    notes: [
      'ratio: of the medians, to the plain way in the same round',
      'with the candidates the cost grows in proportion; with the peers of the task only by what no longer fits the caches',
    ],
  };
}

const NOW_MS = 1_700_000_000_000;
/** Of the decisions of one scheduler, in the strategy's time. */
const DECISION_INTERVAL_MS = 5;

function limitsOf(filterParentLimit: number): CandidateLimits {
  return { candidateParentLimit: 3, filterParentLimit, peerUploadLimit: 200, seedUploadLimit: 2000 };
}

/** A task with peers in five data centres, and children that look for parents among them. */
function crowd(size: number): { task: Task; children: Peer[] } {
  const task = aTask();
  const host = (index: number) =>
    aHost({ idc: `idc-${index % 5}`, location: `region-${index % 2}|idc-${index % 5}|rack-${index % 40}` });
  for (let index = 0; index < size; index += 1) {
    const peer = aPeer({ task, host: host(index), state: 'Succeeded', pieceCount: 10 });
    for (let piece = 0; piece < 10; piece += 1) peer.costs.add(20 + piece);
  }
  return { task, children: Array.from({ length: CHILDREN }, (_, index) => aPeer({ task, host: host(index) })) };
}

/** An adaptive strategy that knows something of every host. */
function taught(task: Task, children: readonly Peer[]): Strategy {
  const strategy = new AdaptiveStrategy();
  let index = 0;
  for (const parent of task.offerable) {
    const child = children[index % children.length];
    index += 1;
    if (child === undefined) continue;
    strategy.observe({ child, parent, isSuccess: true, lengthBytes: 4e6, costMs: 10 + (index % 50), nowMs: NOW_MS });
  }
  return strategy;
}

function timed(
  choose: (child: Peer) => unknown,
  children: readonly Peer[],
  considered: number,
  touched: number,
): Record<string, number> {
  const count = Math.max(
    20,
    Math.min(DECISIONS.most, Math.floor(DECISIONS.candidatesInAll / Math.max(considered, touched))),
  );
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const child = children[index % children.length];
    if (child === undefined) continue;
    const startedAt = performance.now();
    choose(child);
    times.push((performance.now() - startedAt) * 1000);
  }
  return { 'median us': quantile(times, 0.5), 'p99 us': quantile(times, 0.99) };
}

/** As the original does it: every peer of the task is copied, and all that pass are sorted. */
function plainChoice(child: Peer, limits: CandidateLimits): Peer[] {
  const all = [...child.task.peers.values()];
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1));
    const [left, right] = [all[index], all[other]];
    if (left === undefined || right === undefined) continue;
    all[index] = right;
    all[other] = left;
  }
  const candidates = all.filter((peer) => canBeParent(peer, child)).slice(0, limits.filterParentLimit);
  const scores = defaultStrategy.score(child, candidates, NOW_MS);
  return candidates
    .map((peer, index) => ({ peer, score: scores[index] ?? 0 }))
    .toSorted((left, right) => right.score - left.score)
    .slice(0, limits.candidateParentLimit)
    .map(({ peer }) => peer);
}

/** In a process of its own, whose heap can be collected before it is measured. */
function memoryMib(pieces: number): number {
  const script = fileURLToPath(new URL('decision-memory.ts', import.meta.url));
  return Number(execFileSync(process.execPath, ['--expose-gc', script, String(pieces)], { encoding: 'utf8' }));
}
