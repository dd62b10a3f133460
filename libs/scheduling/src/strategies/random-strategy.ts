import { hash32 } from '../hash32.js';
import { type Strategy, STRATEGY_API_VERSION } from '../strategy.js';

const RANGE = 2 ** 32;

/**
 * The baseline to compare others with: every candidate as good as the next. The score is a hash of seed, child and
 * candidate, so that a run can be repeated.
 */
export function randomStrategy(seed = 0): Strategy {
  return {
    name: 'random',
    apiVersion: STRATEGY_API_VERSION,
    score: (child, candidates) => {
      const childSeed = hash32(child.id, seed);
      return candidates.map((candidate) => hash32(candidate.id, childSeed) / RANGE);
    },
  };
}
