import { defaultStrategy, type Strategy } from '../strategy.js';
import { aHost, aPeer, aTask } from '../testing/index.js';
import { type FallbackReason, GuardedStrategy } from './guarded-strategy.js';

const task = aTask();
const child = aPeer({ task, host: aHost({ idc: 'dc' }) });
const parents = ['x', 'dc', 'y'].map((idc) => aPeer({ task, host: aHost({ idc }), state: 'Succeeded' }));
const byDefault = defaultStrategy.score(child, parents, 0);

function plugin(score: Strategy['score'], observe?: Strategy['observe']): Strategy {
  return { name: 'mine', apiVersion: 1, score, ...(observe === undefined ? {} : { observe }) };
}

/** A guard on a stopwatch that every look moves on, and the reasons it gave. */
function guard(inner: Strategy, tookMs = 0): { guarded: GuardedStrategy; reasons: FallbackReason[] } {
  const reasons: FallbackReason[] = [];
  let looks = 0;
  const guarded = new GuardedStrategy(inner, {
    budgetMs: 5,
    maxBadInRow: 3,
    suspensionMs: 1000,
    stopwatchMs: () => looks++ * tookMs,
    onFallback: (reason) => reasons.push(reason),
  });
  return { guarded, reasons };
}

it('passes on what the strategy answers', () => {
  const { guarded, reasons } = guard(
    plugin(() => [3, 1, 2]),
    5,
  );
  expect(guarded.score(child, parents, 0)).toEqual([3, 1, 2]);
  expect(guarded.name).toBe('mine');
  expect(reasons).toEqual([]);
});

it.each<[string, FallbackReason, unknown]>([
  ['too few scores', 'wrong-length', [1, 2]],
  ['too many scores', 'wrong-length', [1, 2, 3, 4]],
  ['no list', 'wrong-length', 7],
  ['a promise', 'wrong-length', Promise.resolve([1, 2, 3])],
  ['nothing', 'wrong-length', undefined],
  ['NaN', 'not-finite', [1, Number.NaN, 3]],
  ['infinity', 'not-finite', [1, Infinity, 3]],
  ['text', 'not-finite', ['1', '2', '3']],
  // eslint-disable-next-line no-sparse-arrays -- holes are what is tested
  ['holes', 'not-finite', [1, , 3]],
])('decides by the default when the answer is %s (seed 002-33)', (_name, reason, answer) => {
  const { guarded, reasons } = guard(plugin(() => answer as number[]));
  expect(guarded.score(child, parents, 0)).toEqual(byDefault);
  expect(reasons).toEqual([reason]);
});

it('decides by the default when the strategy throws (seed 002-33)', () => {
  const { guarded, reasons } = guard(
    plugin(() => {
      throw new Error('broken');
    }),
  );
  expect(guarded.score(child, parents, 0)).toEqual(byDefault);
  expect(reasons).toEqual(['threw']);
});

it('decides by the default when the answer took longer than it may', () => {
  const { guarded, reasons } = guard(
    plugin(() => [3, 1, 2]),
    6,
  );
  expect(guarded.score(child, parents, 0)).toEqual(byDefault);
  expect(reasons).toEqual(['slow']);
});

it('does not ask a strategy for a while that was bad several times in a row', () => {
  let calls = 0;
  const { guarded, reasons } = guard(
    plugin(() => {
      calls += 1;
      throw new Error('broken');
    }),
  );
  for (let count = 0; count < 5; count++) guarded.score(child, parents, 100);
  expect(calls).toBe(3);
  expect(reasons).toEqual(['threw', 'threw', 'threw', 'suspended', 'suspended']);
  guarded.score(child, parents, 1100);
  expect(calls).toBe(4);
});

it('begins to count anew after a good answer', () => {
  let calls = 0;
  const { guarded } = guard(plugin(() => (calls++ % 3 === 2 ? [1, 2, 3] : [])));
  for (let count = 0; count < 9; count++) guarded.score(child, parents, 0);
  expect(calls).toBe(9);
});

it('lets the strategy sort its own copy of the candidates', () => {
  const { guarded } = guard(
    plugin((_child, candidates) => {
      (candidates as unknown[]).reverse();
      return [1, 2, 3];
    }),
  );
  const before = [...parents];
  guarded.score(child, parents, 0);
  expect(parents).toEqual(before);
});

it('survives a strategy that throws when it is told of a piece', () => {
  const { guarded, reasons } = guard(
    plugin(
      () => [1, 2, 3],
      () => {
        throw new Error('broken');
      },
    ),
  );
  const [parent] = parents;
  if (parent === undefined) throw new Error('no parent');
  guarded.observe({ child, parent, isSuccess: true, lengthBytes: 1, costMs: 1, nowMs: 0 });
  expect(reasons).toEqual(['threw']);
});
