import { exponential, type Random, shuffled } from '../random.js';
import type { LoadedScenario } from '../scenario/load.js';

/** A host begins to download a content. */
export interface Arrival {
  /** Since the beginning of the run. */
  readonly atMs: number;
  readonly host: number;
  readonly task: number;
}

/** Who downloads what when, in order of time. */
export function arrivalsOf({ scenario, trace }: LoadedScenario, hostCount: number, random: Random): Arrival[] {
  const { arrivals, content } = scenario;
  if (arrivals.kind === 'trace') return [...trace];
  const result: Arrival[] = [];
  for (let task = 0; task < content.tasks; task++) {
    let atMs = task * content.everySeconds * 1000;
    const beginMs = atMs;
    const hosts = shuffled(
      Array.from({ length: hostCount }, (_, index) => index),
      random,
    );
    for (const host of hosts) {
      if (arrivals.kind === 'burst') atMs = beginMs + random() * arrivals.withinSeconds * 1000;
      else atMs += exponential(random, 1000 / arrivals.perSecond);
      result.push({ atMs, host, task });
    }
  }
  return result.toSorted((left, right) => left.atMs - right.atMs);
}
