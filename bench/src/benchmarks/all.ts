import type { BenchmarkResult } from '../measure/report.ts';
import { cached } from './cached.ts';
import { cold } from './cold.ts';
import type { BenchmarkContext } from './context.ts';
import { decision } from './decision.ts';
import { fanout } from './fanout.ts';
import { footprint } from './footprint.ts';
import { rest } from './rest.ts';
import { schedule } from './schedule.ts';
import { transfer } from './transfer.ts';

/** Every benchmark by the name it is called with, in the order of `all`. */
export const BENCHMARKS: Readonly<Record<string, (context: BenchmarkContext) => Promise<BenchmarkResult>>> = {
  transfer,
  cached,
  cold,
  fanout,
  schedule,
  decision,
  rest,
  footprint,
};
