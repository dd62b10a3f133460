import { mean } from './statistics.js';

/** How much a figure of one strategy differs from another's, over runs of the same chance. */
export interface PairedDifference {
  /** Mean of (own ÷ reference − 1). */
  readonly mean: number;
  /** 95 % confidence interval of it. */
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % points of Student's t by degrees of freedom, from 1 on; beyond the last the normal distribution's. */
const T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131];
const NORMAL_95 = 1.96;

/**
 * Pairs take out what the runs have in common: hosts, arrivals, crashes.
 * @param own @param reference figures of the same runs, in the same order
 * @returns `undefined` of fewer than two runs, which say nothing of chance
 */
export function pairedDifference(own: readonly number[], reference: readonly number[]): PairedDifference | undefined {
  const differences = own.map((value, index) => value / (reference[index] ?? NaN) - 1);
  const count = differences.length;
  if (count < 2) return undefined;
  const middle = mean(differences);
  const variance = differences.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (count - 1);
  const half = (T_95[count - 2] ?? NORMAL_95) * Math.sqrt(variance / count);
  return { mean: middle, low: middle - half, high: middle + half };
}
