import { hash32 } from '../hash32.js';
import { defaultStrategy, type PieceObservation, type Strategy } from '../strategy.js';

/** A part of the tasks and the strategy that decides for them. */
export interface StrategyShare {
  readonly strategy: Strategy;
  /** 0 … 100. */
  readonly percent: number;
}

const RANGE = 2 ** 32;
/** Any other use of the same hash must not follow the split. */
const SPLIT_SEED = 0x5b1_17;

/**
 * Divides tasks among strategies for an A/B test. Which one a task gets depends on its id alone: all its peers, on every
 * scheduler that is set alike, get the same one, also after a restart.
 */
export class StrategySplit {
  readonly #shares: readonly StrategyShare[];
  readonly #rest: Strategy;

  /** @param rest decides for the tasks beyond the shares */
  constructor(rest: Strategy = defaultStrategy, shares: readonly StrategyShare[] = []) {
    this.#rest = rest;
    this.#shares = shares;
  }

  /** Every strategy that may decide, each once. */
  get strategies(): readonly Strategy[] {
    return [...new Set([...this.#shares.map(({ strategy }) => strategy), this.#rest])];
  }

  strategyFor(taskId: string): Strategy {
    if (this.#shares.length === 0) return this.#rest;
    let place = (hash32(taskId, SPLIT_SEED) / RANGE) * 100;
    for (const { strategy, percent } of this.#shares) {
      place -= percent;
      if (place < 0) return strategy;
    }
    return this.#rest;
  }

  /**
   * Every strategy learns from every task: what one of them knows of the hosts is not to depend on its share.
   */
  observe(observation: PieceObservation): void {
    this.#rest.observe?.(observation);
    for (const { strategy } of this.#shares) if (strategy !== this.#rest) strategy.observe?.(observation);
  }
}
