import { defaultStrategy, type Strategy } from '@dragonfly/scheduling';
import { aPeer, aTask, FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { Registry } from 'prom-client';
import type { StrategyChoice, StrategyOverride } from './strategy-choice.js';
import { StrategyDesk } from './strategy-desk.js';
import { StrategyMetrics } from './strategy-metrics.js';

const broken: Strategy = {
  name: 'broken',
  apiVersion: 1,
  score: () => {
    throw new Error('broken');
  },
};

class Bench {
  readonly registry = new Registry();
  readonly clock = new FakeClock();
  readonly warnings: unknown[] = [];
  override: StrategyOverride | undefined;
  readonly desk: StrategyDesk;

  constructor(choice: Partial<StrategyChoice> = {}, plugin?: Strategy) {
    const log = silentLogger();
    log.warn = (...all: unknown[]) => {
      this.warnings.push(all);
    };
    this.desk = new StrategyDesk({
      choice: { algorithm: 'default', split: [], ...choice },
      override: () => this.override,
      plugin,
      metrics: new StrategyMetrics(this.registry),
      clock: this.clock,
      log,
    });
  }

  async metric(line: string): Promise<string | undefined> {
    const text = await this.registry.metrics();
    return text
      .split('\n')
      .find((candidate) => candidate.startsWith(`dragonfly_scheduler_strategy_${line} `))
      ?.split(' ')
      .at(-1);
  }

  /** Names of the strategies of a thousand tasks. */
  names(): Set<string> {
    return new Set(Array.from({ length: 1000 }, () => this.desk.strategyFor(aTask()).name));
  }
}

it.each(['default', 'random', 'adaptive'] as const)('names the built-in strategy %s', (algorithm) => {
  expect(new Bench({ algorithm }).names()).toEqual(new Set([algorithm]));
});

it('takes the default for a plugin that could not be loaded', () => {
  expect(new Bench({ algorithm: 'plugin' }).desk.strategyFor(aTask())).toBe(defaultStrategy);
});

it('divides tasks, and changes the division when the cluster says so (seed 002-32)', () => {
  const bench = new Bench({ split: [{ name: 'random', percent: 50 }] });
  expect(bench.names()).toEqual(new Set(['default', 'random']));
  bench.override = { algorithm: 'adaptive' };
  expect(bench.names()).toEqual(new Set(['adaptive']));
  bench.override = { split: [{ name: 'adaptive', percent: 50 }] };
  expect(bench.names()).toEqual(new Set(['default', 'adaptive']));
  bench.override = undefined;
  expect(bench.names()).toEqual(new Set(['default', 'random']));
});

it('keeps what the adaptive strategy has learnt when the division changes', () => {
  const bench = new Bench({ algorithm: 'adaptive' });
  const before = bench.desk.strategyFor(aTask());
  bench.override = { algorithm: 'random' };
  bench.names();
  bench.override = { algorithm: 'adaptive' };
  expect(bench.desk.strategyFor(aTask())).toBe(before);
});

it('counts every answer of a plugin that was not taken, and logs one a minute (seed 002-33)', async () => {
  const bench = new Bench({ algorithm: 'plugin' }, broken);
  const task = aTask();
  const candidates = [aPeer({ task, state: 'Succeeded' }), aPeer({ task, state: 'Succeeded' })];
  const decide = (): readonly number[] =>
    bench.desk.strategyFor(task).score(aPeer({ task }), candidates, bench.clock.nowMs());
  for (let count = 0; count < 5; count++) expect(decide()).toHaveLength(2);
  expect(bench.warnings).toHaveLength(1);
  decide();
  bench.clock.advance(61_000);
  decide();
  expect(bench.warnings).toHaveLength(2);
  expect(await bench.metric('fallbacks_total{strategy="broken",reason="threw"}')).toBe('6');
  expect(await bench.metric('fallbacks_total{strategy="broken",reason="suspended"}')).toBe('1');
  expect(await bench.metric('fallbacks_total{strategy="broken",reason="slow"}')).toBe('0');
});

it('counts decisions, pieces, bytes and ends by strategy', async () => {
  const bench = new Bench();
  const task = aTask();
  const parent = aPeer({ task, state: 'Succeeded' });
  const child = aPeer({ task, state: 'Running' });
  child.strategyLabel = 'adaptive';
  bench.desk.decided(child, [parent]);
  bench.desk.decided(child, []);
  bench.desk.pieceFinished(child, parent, false, 100, 5);
  bench.desk.pieceFinished(child, undefined, true, 7, 5);
  bench.desk.pieceFailed(child, parent);
  child.apply('DownloadSucceeded', 0);
  bench.desk.downloadEnded(child);
  expect(await bench.metric('decisions_total{strategy="adaptive",result="parents"}')).toBe('1');
  expect(await bench.metric('decisions_total{strategy="adaptive",result="none"}')).toBe('1');
  expect(await bench.metric('pieces_total{strategy="adaptive",result="finished"}')).toBe('1');
  expect(await bench.metric('pieces_total{strategy="adaptive",result="failed"}')).toBe('1');
  expect(await bench.metric('bytes_total{strategy="adaptive",traffic_type="REMOTE_PEER"}')).toBe('100');
  expect(await bench.metric('bytes_total{strategy="adaptive",traffic_type="BACK_TO_SOURCE"}')).toBe('7');
  expect(await bench.metric('downloads_total{strategy="adaptive",result="succeeded"}')).toBe('1');
});

it('lets the adaptive strategy learn from the pieces of every task', () => {
  const bench = new Bench({ split: [{ name: 'adaptive', percent: 1 }] });
  const task = aTask();
  const [slow, fast] = [aPeer({ task, state: 'Succeeded' }), aPeer({ task, state: 'Succeeded' })];
  const child = aPeer({ task, state: 'Running' });
  for (let count = 0; count < 10; count++) {
    bench.desk.pieceFinished(child, slow, false, 4_000_000, 4000);
    bench.desk.pieceFinished(child, fast, false, 4_000_000, 40);
  }
  bench.override = { algorithm: 'adaptive' };
  const [ofSlow = 0, ofFast = 0] = bench.desk.strategyFor(task).score(child, [slow, fast], bench.clock.nowMs());
  expect(ofFast).toBeGreaterThan(ofSlow + 1);
});
