import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Row } from './comparison.ts';

const GIB = 1024 ** 3;

/** What a benchmark hands back. */
export interface BenchmarkResult {
  readonly benchmark: string;
  /** What was done, in a sentence. */
  readonly description: string;
  readonly rows: readonly Row[];
  /** What a reader of the figures must know. */
  readonly notes: readonly string[];
}

/** The machine a run was made on. */
export function machine(): Readonly<Record<string, string | number>> {
  const all = cpus();
  return {
    cpus: all.length,
    model: all[0]?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
    node: process.version,
    loadAverage: Number(loadavg()[0]?.toFixed(2)),
  };
}

/** A table for people: one line a subject, medians with the span in parentheses. */
export function tableOf(result: BenchmarkResult): string {
  const names = [...new Set(result.rows.flatMap((row) => Object.keys(row.figures)))];
  const table = [
    ['', ...names, 'ratio'],
    ...result.rows.map((row) => [
      row.subject,
      ...names.map((name) => cell(row.figures[name])),
      row.ratioToReference === undefined ? '' : `${row.ratioToReference.toFixed(2)} × ${row.reference ?? ''}`,
    ]),
  ];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  const lines = table.map((line) =>
    line
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [
    `## ${result.benchmark}`,
    result.description,
    '',
    ...lines,
    ...result.notes.map((note) => `note: ${note}`),
    '',
  ].join('\n');
}

function cell(figure: { median: number; min: number; max: number } | undefined): string {
  if (figure === undefined) return '';
  const { median, min, max } = figure;
  return min === max ? short(median) : `${short(median)} (${short(min)}–${short(max)})`;
}

function short(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
