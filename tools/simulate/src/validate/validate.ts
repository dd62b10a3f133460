import { DfError } from '@dragonfly/errors';
import { hostCountOf, loadScenario } from '../scenario/load.js';
import { type Scenario, scenarioSchema } from '../scenario/schema.js';
import { mean } from '../run/statistics.js';
import { simulate } from '../run/simulation.js';
import { RealCluster } from './real-cluster.js';

/**
 * How far the simulated mean may be from the real one, as a part of it: makespan and mean completion. Chance alone moves a
 * single distribution among a handful of hosts by a fifth; so do three rounds on a machine with other work.
 */
export const TIME_MARGIN = 0.25;
/** The same for the parts of the bytes that came from the seed and from peers, in points of 1. */
export const SHARE_MARGIN = 0.1;
const SIMULATED_RUNS = 40;

export interface ValidateOptions {
  /** @default 8, of the scenario `small` */
  readonly peers?: number;
  readonly sizeMib?: number;
  readonly uploadMbit?: number;
  /** Distributions by the real processes. @default 3 */
  readonly rounds?: number;
  /** @default 'default' */
  readonly strategy?: string;
  readonly progress?: (text: string) => void;
}

interface Figures {
  readonly makespanSeconds: number;
  readonly meanSeconds: number;
  readonly seedShare: number;
  readonly sourceShare: number;
}

export interface Validation {
  readonly simulated: Figures;
  readonly real: Figures;
  /** Largest of the relative differences of the times, and of the differences of the shares. */
  readonly timeDifference: number;
  readonly shareDifference: number;
  readonly isWithinMargin: boolean;
  /** For people. */
  readonly text: string;
}

/** Runs one small scenario in the simulator and with real processes, and compares what came of it. */
export async function validate(options: ValidateOptions = {}): Promise<Validation> {
  const { rounds = 3, strategy = 'default', progress = () => undefined } = options;
  const scenario = scenarioOf(options);
  progress('validate: simulating');
  const simulated = await simulatedFigures(scenario, strategy);
  const real = await realFigures(scenario, strategy, rounds, progress);
  const timeDifference = Math.max(
    Math.abs(simulated.makespanSeconds / real.makespanSeconds - 1),
    Math.abs(simulated.meanSeconds / real.meanSeconds - 1),
  );
  const shareDifference = Math.max(
    Math.abs(simulated.seedShare - real.seedShare),
    Math.abs(simulated.sourceShare - real.sourceShare),
  );
  const isWithinMargin = timeDifference <= TIME_MARGIN && shareDifference <= SHARE_MARGIN;
  const text = [
    `validation: ${hostCountOf(scenario)} peers and a seed, ${scenario.content.sizeMib} MiB, uploads of ${scenario.hosts[0]?.uploadMbit} Mbit, strategy ${strategy}`,
    `            makespan  mean   from seed  from source`,
    line(`simulated (mean of ${SIMULATED_RUNS})`, simulated),
    line(`real (mean of ${rounds})`, real),
    `times differ by ${percent(timeDifference)} (margin ${percent(TIME_MARGIN)}), shares by ${percent(shareDifference)} (margin ${percent(SHARE_MARGIN)}): ${isWithinMargin ? 'agree' : 'DO NOT AGREE'}`,
    '',
  ].join('\n');
  return { simulated, real, timeDifference, shareDifference, isWithinMargin, text };
}

function scenarioOf({ peers, sizeMib, uploadMbit }: ValidateOptions): Scenario {
  const { scenario } = loadScenario('small');
  const rate = uploadMbit ?? scenario.hosts[0]?.uploadMbit ?? 128;
  return scenarioSchema.parse({
    ...scenario,
    content: { ...scenario.content, sizeMib: sizeMib ?? scenario.content.sizeMib },
    idcs: scenario.idcs.map((idc) => ({ ...idc, hostsPerRack: peers ?? idc.hostsPerRack })),
    hosts: scenario.hosts.map((kind) => ({ ...kind, uploadMbit: rate })),
    seeds: scenario.seeds.map((seed) => ({ ...seed, uploadMbit: rate })),
  });
}

async function simulatedFigures(scenario: Scenario, strategy: string): Promise<Figures> {
  const runs = [];
  for (let seed = 1; seed <= SIMULATED_RUNS; seed++) {
    runs.push(await simulate({ loaded: { scenario, trace: [] }, strategy, seed }));
  }
  // What the hosts got: the seed's own copy does not count on either side.
  const shares = runs.map(({ shareFrom: { seeds, peers } }) => seeds / (seeds + peers));
  return {
    makespanSeconds: mean(runs.map(({ makespanSeconds }) => makespanSeconds)),
    meanSeconds: mean(runs.map(({ completionSeconds }) => completionSeconds.mean)),
    seedShare: mean(shares),
    sourceShare: 0,
  };
}

async function realFigures(
  scenario: Scenario,
  strategy: string,
  rounds: number,
  progress: (text: string) => void,
): Promise<Figures> {
  const peers = hostCountOf(scenario);
  const uploadMbit = scenario.hosts[0]?.uploadMbit ?? 0;
  if (scenario.arrivals.kind !== 'burst') throw new DfError('invalid-argument', 'only bursts can be validated');
  const { withinSeconds } = scenario.arrivals;
  progress('validate: starting processes');
  await using cluster = await RealCluster.start({
    peers,
    uploadMbit,
    originMbit: scenario.origin.uploadMbit,
    concurrentPieces: scenario.concurrentPieces,
    strategy,
  });
  const all: Figures[] = [];
  // The first round warms the processes up: their code is compiled in it.
  for (let round = 0; round <= rounds; round++) {
    progress(`validate: round ${round} of ${rounds}`);
    const arrivalsMs = Array.from({ length: peers }, (_, index) => (index / peers) * withinSeconds * 1000);
    const downloads = await cluster.distribute(scenario.content.sizeMib, arrivalsMs);
    const fromSeed = sum(downloads.map(({ fromSeedBytes }) => fromSeedBytes));
    const fromPeers = sum(downloads.map(({ fromPeersBytes }) => fromPeersBytes));
    const fromSource = sum(downloads.map(({ fromSourceBytes }) => fromSourceBytes));
    if (round === 0) continue;
    all.push({
      makespanSeconds: Math.max(...downloads.map(({ doneSeconds }) => doneSeconds)),
      meanSeconds: mean(downloads.map(({ seconds }) => seconds)),
      seedShare: fromSeed / (fromSeed + fromPeers + fromSource),
      sourceShare: fromSource / (fromSeed + fromPeers + fromSource),
    });
  }
  return {
    makespanSeconds: mean(all.map(({ makespanSeconds }) => makespanSeconds)),
    meanSeconds: mean(all.map(({ meanSeconds }) => meanSeconds)),
    seedShare: mean(all.map(({ seedShare }) => seedShare)),
    sourceShare: mean(all.map(({ sourceShare }) => sourceShare)),
  };
}

function line(name: string, { makespanSeconds, meanSeconds, seedShare, sourceShare }: Figures): string {
  return `${name}: ${makespanSeconds.toFixed(2)} s  ${meanSeconds.toFixed(2)} s  ${percent(seedShare)}  ${percent(sourceShare)}`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
