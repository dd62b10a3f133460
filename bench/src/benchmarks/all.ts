import type { BenchmarkResult } from '../measure/report.ts';
import { cold } from './cold.ts';
import type { BenchmarkContext } from './context.ts';
import { transfer } from './transfer.ts';

/** Every benchmark by the name it is called with, in the order of `all`. */
export const BENCHMARKS: Readonly<Record<string, (context: BenchmarkContext) => Promise<BenchmarkResult>>> = {
  transfer,
  cold,
};
