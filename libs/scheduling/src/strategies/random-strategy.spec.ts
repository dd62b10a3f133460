import { aPeer, aTask } from '../testing/index.js';
import { randomStrategy } from './random-strategy.js';

const task = aTask();
const parents = Array.from({ length: 10 }, () => aPeer({ task, state: 'Succeeded' }));

it('gives the same scores again for the same seed, whatever the order', () => {
  const child = aPeer({ task });
  const scores = randomStrategy(5).score(child, parents, 0);
  expect(randomStrategy(5).score(child, parents, 99)).toEqual(scores);
  expect(randomStrategy(5).score(child, parents.toReversed(), 0)).toEqual([...scores].reverse());
  expect(randomStrategy(6).score(child, parents, 0)).not.toEqual(scores);
});

it('prefers every candidate about as often as any other', () => {
  const wins = new Map<number, number>();
  const children = 2000;
  for (let index = 0; index < children; index++) {
    const scores = randomStrategy().score(aPeer({ task }), parents, 0);
    const winner = scores.indexOf(Math.max(...scores));
    wins.set(winner, (wins.get(winner) ?? 0) + 1);
  }
  expect(wins.size).toBe(10);
  for (const count of wins.values()) {
    expect(count).toBeGreaterThan(140);
    expect(count).toBeLessThan(260);
  }
});
