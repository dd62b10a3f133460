import type { RunResult } from '../run/result.js';
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
