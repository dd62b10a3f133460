import { writeFileSync } from 'node:fs';
import { tempDir } from '@dragonfly/testkit';
import { type LoadedScenario, loadScenario } from '../scenario/load.js';
import { scenarioSchema } from '../scenario/schema.js';
import type { RunResult } from './result.js';
import { simulate } from './simulation.js';

const STRATEGIES = ['default', 'random', 'adaptive'];

function withoutTiming(result: RunResult): string {
  return JSON.stringify({ ...result, timing: undefined });
}

/** A scenario of the package with fewer hosts and bytes. */
function smaller(name: string): LoadedScenario {
  const loaded = loadScenario(name);
  const { scenario } = loaded;
  return {
    trace: loaded.trace,
    scenario: scenarioSchema.parse({
      ...scenario,
      content: { ...scenario.content, sizeMib: 32, tasks: Math.min(2, scenario.content.tasks) },
      idcs: scenario.idcs.map((idc) => ({ ...idc, racks: 2, hostsPerRack: 6 })),
    }),
  };
}

describe('a simulation', () => {
  it.each(STRATEGIES)('gives the same figures for the same seed, and others for another, with %s', async (strategy) => {
    const loaded = smaller('multi-idc');
    const [first, again, other] = [
      await simulate({ loaded, strategy, seed: 5 }),
      await simulate({ loaded, strategy, seed: 5 }),
      await simulate({ loaded, strategy, seed: 6 }),
    ];
    expect(withoutTiming(again)).toBe(withoutTiming(first));
    expect(withoutTiming(other)).not.toBe(withoutTiming({ ...first, seed: 6 }));
  });

  it.each(['flash-crowd', 'multi-idc', 'slow-hosts', 'lying-hosts', 'churn', 'ten-thousand'])(
    'completes every download of %s, fetches the content once, and is not faster than is possible',
    async (name) => {
      for (const strategy of STRATEGIES) {
        const result = await simulate({ loaded: smaller(name), strategy, seed: 2 });
        expect(result.downloads.unfinished).toBe(0);
        expect(result.makespanSeconds).toBeGreaterThanOrEqual(result.lowerBoundSeconds);
        expect(result.sourceRatio).toBe(1);
        expect(result.shareFrom.source + result.shareFrom.seeds + result.shareFrom.peers).toBeCloseTo(1, 5);
      }
    },
  );

  it('without seeds sends exactly one host to the source', async () => {
    const loaded = smaller('flash-crowd');
    const result = await simulate({
      loaded: { ...loaded, scenario: { ...loaded.scenario, seeds: [] } },
      strategy: 'default',
      seed: 1,
    });
    expect(result.sourceRatio).toBe(1);
    expect(result.shareFrom.seeds).toBe(0);
    expect(result.downloads.succeeded).toBe(12);
  });

  it('begins again what a crash has cut off, and goes on with the pieces that are there', async () => {
    const loaded = smaller('churn');
    const scenario = { ...loaded.scenario, churn: { share: 0.5, withinSeconds: 0.5, awaySeconds: 2 } };
    const result = await simulate({ loaded: { ...loaded, scenario }, strategy: 'default', seed: 3 });
    expect(result.downloads.cutOff).toBeGreaterThanOrEqual(3);
    expect(result.downloads.unfinished).toBe(0);
  });

  it('relieves a crowded seed where daemons take pieces back from a parent that sends none', async () => {
    const { scenario } = loadScenario('small');
    const run = (takeBackAfterSeconds: number): Promise<RunResult> =>
      simulate({ loaded: { scenario: { ...scenario, takeBackAfterSeconds }, trace: [] }, strategy: 'random', seed: 1 });
    const [patient, impatient] = [await run(0), await run(2)];
    expect(impatient.shareFrom.seeds).toBeLessThan(patient.shareFrom.seeds - 0.1);
    expect(impatient.makespanSeconds).toBeLessThan(patient.makespanSeconds);
    expect(impatient.sourceRatio).toBe(1);
  });

  it('counts damaged pieces as wasted and gets the content all the same', async () => {
    const loaded = smaller('lying-hosts');
    const [kind] = loaded.scenario.hosts;
    if (kind === undefined) throw new Error('no kind');
    const scenario = { ...loaded.scenario, hosts: [{ ...kind, damagedPieces: 0.2 }] };
    const result = await simulate({ loaded: { ...loaded, scenario }, strategy: 'default', seed: 3 });
    expect(result.wastedGib).toBeGreaterThan(0);
    expect(result.downloads.unfinished).toBe(0);
  });

  it('keeps to its deadline and says what is not finished', async () => {
    const loaded = smaller('flash-crowd');
    const scenario = { ...loaded.scenario, deadlineSeconds: 0.4 };
    const result = await simulate({ loaded: { ...loaded, scenario }, strategy: 'default', seed: 1 });
    expect(result.downloads.unfinished).toBe(12 - result.downloads.succeeded);
    expect(result.downloads.unfinished).toBeGreaterThan(0);
  });

  it('runs a plugin from outside the repository (seed 002-2)', async () => {
    const directory = tempDir('plugin');
    try {
      const file = directory.file('constant.mjs');
      writeFileSync(
        file,
        "export default { name: 'constant', apiVersion: 1, score: (child, candidates) => candidates.map(() => 1) };",
      );
      const result = await simulate({ loaded: smaller('flash-crowd'), strategy: file, seed: 1 });
      expect(result.downloads.succeeded).toBe(12);
      await expect(
        simulate({ loaded: smaller('flash-crowd'), strategy: directory.file('none.mjs'), seed: 1 }),
      ).rejects.toThrow(/neither a strategy nor a module/);
    } finally {
      directory.remove();
    }
  });

  it('shows the adaptive strategy ahead of the default where hosts lie about their bandwidth (seed 002-18)', async () => {
    const loaded = smaller('lying-hosts');
    const scenario = { ...loaded.scenario, content: { ...loaded.scenario.content, tasks: 4, everySeconds: 20 } };
    const run = (strategy: string): Promise<RunResult> =>
      simulate({ loaded: { ...loaded, scenario }, strategy, seed: 1 });
    const [byDefault, adaptive] = [await run('default'), await run('adaptive')];
    expect(adaptive.completionSeconds.mean).toBeLessThan(byDefault.completionSeconds.mean / 2);
  });
});
