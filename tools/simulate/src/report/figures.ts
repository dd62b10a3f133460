import type { RunResult } from '../run/result.js';

/** One column of the comparison: how it is called, what it says of a run, and which way is better. */
export interface Figure {
  readonly title: string;
  readonly unit: string;
  readonly value: (result: RunResult) => number;
  readonly better: 'less' | 'more';
  /** Depends on the machine. */
  readonly isTiming?: boolean;
}

export const FIGURES: readonly Figure[] = [
  { title: 'makespan', unit: 's', value: (result) => result.makespanSeconds, better: 'less' },
  {
    title: '÷ bound',
    unit: '×',
    value: (result) => result.makespanSeconds / result.lowerBoundSeconds,
    better: 'less',
  },
  { title: 'mean', unit: 's', value: (result) => result.completionSeconds.mean, better: 'less' },
  { title: 'p99', unit: 's', value: (result) => result.completionSeconds.p99, better: 'less' },
  { title: 'source ÷ size', unit: '×', value: (result) => result.sourceRatio, better: 'less' },
  { title: 'cross-IDC', unit: 'GiB', value: (result) => result.crossIdcGib, better: 'less' },
  { title: 'fairness', unit: '', value: (result) => result.uploadFairness, better: 'more' },
  { title: 'unfinished', unit: '', value: (result) => result.downloads.unfinished, better: 'less' },
  {
    title: 'decisions/s',
    unit: '',
    value: (result) => result.timing.decisionsPerSecond,
    better: 'more',
    isTiming: true,
  },
  { title: 'heap', unit: 'MiB', value: (result) => result.timing.heapMib, better: 'less', isTiming: true },
  { title: 'peak RSS', unit: 'MiB', value: (result) => result.timing.peakRssMib, better: 'less', isTiming: true },
];

/** A value in as few characters as say something. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** The results of each scenario, in the order of the first of each. */
export function byScenario(results: readonly RunResult[]): Map<string, RunResult[]> {
  const groups = new Map<string, RunResult[]>();
  for (const result of results) groups.set(result.scenario, [...(groups.get(result.scenario) ?? []), result]);
  return groups;
}
