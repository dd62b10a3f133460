import fc from 'fast-check';
import type { Host } from './host.js';
import { AdaptiveStrategy } from './strategies/adaptive-strategy.js';
import { defaultStrategy, type Strategy } from './strategy.js';
import type { Peer } from './task.js';
import { aHost, aPeer, aTask, SOME_TIME_MS } from './testing/index.js';

/** A host in one of two data centres, with whatever load. */
const someHost = fc.record({
  idc: fc.constantFrom('a', 'b'),
  location: fc.constantFrom('x|1|p', 'x|1|q', 'x|2|p', 'y|1|p'),
  maxTxBitsPerSecond: fc.integer({ min: 1e7, max: 1e9 }),
  children: fc.integer({ min: 0, max: 50 }),
});
type SomeHost = typeof someHost extends fc.Arbitrary<infer T> ? T : never;

const CHILD = { idc: 'a', location: 'x|1|p' };
const GIBIBYTE = 1024 ** 3;

function scoreOf(strategy: Strategy, facts: SomeHost, change: (host: Host) => void = () => undefined): number {
  const task = aTask();
  const host = aHost(facts);
  for (let child = 0; child < facts.children; child++) {
    host.addUpload({ peakBits: 1e7, pieceCount: 4, contentBytes: GIBIBYTE / 100 });
  }
  change(host);
  const parent: Peer = aPeer({ task, host, state: 'Succeeded' });
  return strategy.score(aPeer({ task, host: aHost(CHILD) }), [parent], SOME_TIME_MS)[0] ?? NaN;
}

const strategies: readonly Strategy[] = [defaultStrategy, new AdaptiveStrategy({ explorationShare: 0 })];

describe.each(strategies.map((strategy) => [strategy.name, strategy] as const))(
  'with all else equal, %s (seed 002-30)',
  (_name, strategy) => {
    const holds = (predicate: (facts: SomeHost) => boolean): void => {
      fc.assert(fc.property(someHost, predicate));
    };

    it('prefers the data centre of the child', () => {
      holds((facts) => scoreOf(strategy, { ...facts, idc: 'a' }) > scoreOf(strategy, { ...facts, idc: 'b' }));
    });

    it('prefers the nearer location', () => {
      holds((facts) => {
        const at = (location: SomeHost['location']): number => scoreOf(strategy, { ...facts, location });
        return at('x|1|p') > at('x|1|q') && at('x|1|q') > at('x|2|p') && at('x|2|p') > at('y|1|p');
      });
    });

    it('never prefers a host for having more children', () => {
      holds((facts) => {
        const more = scoreOf(strategy, facts, (host) => {
          host.addUpload({ peakBits: 1e8, pieceCount: 8, contentBytes: GIBIBYTE });
        });
        return more <= scoreOf(strategy, facts);
      });
    });

    it('never prefers a host for having less bandwidth', () => {
      holds(
        (facts) =>
          scoreOf(strategy, { ...facts, maxTxBitsPerSecond: facts.maxTxBitsPerSecond / 2 }) <=
          scoreOf(strategy, facts) + 1e-12,
      );
    });
  },
);

it('adaptive prefers hosts whose pieces succeed, the default does not look at it (seed 002-30)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 }), (failures, successes) => {
      const strategy = new AdaptiveStrategy({ explorationShare: 0 });
      const task = aTask();
      const [failing, sound] = [aPeer({ task, state: 'Succeeded' }), aPeer({ task, state: 'Succeeded' })];
      const child = aPeer({ task });
      const other = aPeer({ task });
      for (const parent of [failing, sound]) {
        for (let piece = 0; piece < successes; piece++) {
          strategy.observe({ child: other, parent, isSuccess: true, lengthBytes: 1e6, costMs: 10, nowMs: 0 });
        }
      }
      for (let piece = 0; piece < failures; piece++) {
        strategy.observe({ child: other, parent: failing, isSuccess: false, lengthBytes: 0, costMs: 0, nowMs: 0 });
      }
      const [ofFailing = 0, ofSound = 0] = strategy.score(child, [failing, sound], 0);
      const [first, second] = defaultStrategy.score(child, [failing, sound], 0);
      return ofFailing < ofSound && first === second;
    }),
  );
});
