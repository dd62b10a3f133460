import type { RunResult } from '../run/result.js';
import { pairedDifference } from '../run/paired-difference.js';
import { byScenario, FIGURES, shown } from './figures.js';

/** The comparison for a terminal: one line a strategy under each scenario. */
export function textTable(results: readonly RunResult[]): string {
  return [...byScenario(results)].map(([scenario, group]) => scenarioTable(scenario, group)).join('\n');
}

function scenarioTable(scenario: string, group: readonly RunResult[]): string {
  const [first] = group;
  if (first === undefined) return '';
  const head = FIGURES.map(({ title, unit }) => (unit === '' ? title : `${title} [${unit}]`));
  const lines = [
    ['', ...head],
    ...group.map((result) => [result.strategy, ...FIGURES.map(({ value }) => shown(value(result)))]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const rows = lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return [
    `${scenario}: ${first.hosts} hosts, ${first.downloads.total} downloads; lower bound ${shown(first.lowerBoundSeconds)} s (${first.boundBecause})`,
    ...rows,
    '',
  ].join('\n');
}

/** Of several runs of one scenario: how much each strategy differs from the first, and how sure that is. */
export function differenceTable(results: readonly RunResult[]): string {
  const strategies = [...new Set(results.map(({ strategy }) => strategy))];
  const figures: Readonly<Record<string, (result: RunResult) => number>> = {
    makespan: ({ makespanSeconds }) => makespanSeconds,
    mean: ({ completionSeconds }) => completionSeconds.mean,
    p99: ({ completionSeconds }) => completionSeconds.p99,
  };
  const of = (strategy: string | undefined): readonly RunResult[] =>
    results.filter((result) => result.strategy === strategy);
  const [first, ...others] = strategies;
  return others
    .map((strategy) => {
      const parts = Object.entries(figures).flatMap(([name, value]) => {
        const difference = pairedDifference(of(strategy).map(value), of(first).map(value));
        if (difference === undefined) return [];
        return `${name} ${signedPercent(difference.mean)} (${signedPercent(difference.low)} … ${signedPercent(difference.high)})`;
      });
      if (parts.length === 0) return '';
      return `${strategy} against ${first}, ${of(strategy).length} runs, 95 % confidence: ${parts.join(', ')}\n`;
    })
    .join('');
}

function signedPercent(part: number): string {
  return `${part > 0 ? '+' : ''}${(part * 100).toFixed(1)} %`;
}

/** The same as Markdown, without what depends on the machine. */
export function markdownTable(results: readonly RunResult[]): string {
  const figures = FIGURES.filter(({ isTiming }) => isTiming !== true);
  const head = [
    'scenario',
    'bound [s]',
    'strategy',
    ...figures.map(({ title, unit }) => (unit === '' ? title : `${title} [${unit}]`)),
  ];
  const rows = results.map((result) => [
    result.scenario,
    shown(result.lowerBoundSeconds),
    result.strategy,
    ...figures.map(({ value }) => shown(value(result))),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(head),
    line(head.map((_, index) => (index > 2 || index === 1 ? '---:' : '---'))),
    ...rows.map(line),
    '',
  ].join('\n');
}
