import { createHash } from 'node:crypto';
import { defaultStrategy, type PieceObservation } from '../strategy.js';
import { aPeer } from '../testing/index.js';
import { AdaptiveStrategy } from './adaptive-strategy.js';
import { randomStrategy } from './random-strategy.js';
import { StrategySplit } from './strategy-split.js';

const random = randomStrategy();
const adaptive = new AdaptiveStrategy();
const taskIds = Array.from({ length: 10_000 }, (_, index) => createHash('sha256').update(`${index}`).digest('hex'));

function share(split: StrategySplit, name: string): number {
  return taskIds.filter((id) => split.strategyFor(id).name === name).length / taskIds.length;
}

it('gives every task to the one strategy when nothing is split', () => {
  expect(share(new StrategySplit(adaptive), 'adaptive')).toBe(1);
});

it('divides tasks by percentage and leaves the rest to the other strategy (seed 002-32)', () => {
  const split = new StrategySplit(defaultStrategy, [
    { strategy: random, percent: 10 },
    { strategy: adaptive, percent: 30 },
  ]);
  // Three standard deviations of a share of 10,000 tasks are at most 1.5 points.
  expect(Math.abs(share(split, 'random') - 0.1)).toBeLessThan(0.015);
  expect(Math.abs(share(split, 'adaptive') - 0.3)).toBeLessThan(0.015);
  expect(Math.abs(share(split, 'default') - 0.6)).toBeLessThan(0.015);
});

it('keeps the tasks of a strategy when its part grows', () => {
  const small = new StrategySplit(defaultStrategy, [{ strategy: random, percent: 10 }]);
  const large = new StrategySplit(defaultStrategy, [{ strategy: random, percent: 20 }]);
  for (const id of taskIds) if (small.strategyFor(id) === random) expect(large.strategyFor(id)).toBe(random);
});

it('gives a task the same strategy on every scheduler that is set alike', () => {
  const make = (): StrategySplit => new StrategySplit(defaultStrategy, [{ strategy: random, percent: 50 }]);
  const [one, other] = [make(), make()];
  for (const id of taskIds.slice(0, 500)) expect(one.strategyFor(id)).toBe(other.strategyFor(id));
});

it('tells every strategy of every piece once', () => {
  let told = 0;
  const learning = { ...random, observe: () => void (told += 1) };
  const split = new StrategySplit(learning, [{ strategy: learning, percent: 20 }]);
  const observation: PieceObservation = {
    child: aPeer(),
    parent: aPeer(),
    isSuccess: true,
    lengthBytes: 1,
    costMs: 1,
    nowMs: 0,
  };
  split.observe(observation);
  expect(told).toBe(1);
});
