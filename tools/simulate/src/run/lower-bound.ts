import type { Topology } from '../network/topology.js';
import type { Scenario } from '../scenario/schema.js';
import type { Arrival } from './arrivals.js';

/** A time before which no distribution whatever can be over, and what makes it so. */
export interface LowerBound {
  readonly makespanMs: number;
  readonly because: string;
}

/**
 * The fluid lower bound on the makespan, from the first arrival to the last completion: latency, pieces and ignorance are
 * left out. It is the largest of
 *
 * - a host: what it wants, through its own card, from its arrival on;
 * - the way from the source: every content leaves it, and the seeds, once;
 * - everybody together: what all want, at the rate of all cards together;
 * - a data centre or rack: every content comes in once, and what its hosts want comes in or from cards inside.
 *
 * The first three are the minimum distribution time of Kumar and Ross, "Peer-assisted file distribution: the minimum
 * distribution time" (2006), max(F/u_s, F/d_min, N·F/Σu), for a source that sends every content once only, as the
 * source lease has it; the last is the same applied to a cut. Of hosts that send damaged pieces only the sound part
 * counts. Churn can only make it longer, unless it sends more than one host to the source.
 */
export function lowerBound(scenario: Scenario, topology: Topology, arrivals: readonly Arrival[]): LowerBound {
  const sizeBytes = scenario.content.sizeMib * 1024 * 1024;
  const first = Math.min(...arrivals.map(({ atMs }) => atMs));
  const tasks = new Set(arrivals.map(({ task }) => task)).size;
  let best: LowerBound = { makespanMs: 0, because: 'nothing to do' };
  const consider = (makespanMs: number, because: string): void => {
    if (makespanMs > best.makespanMs) best = { makespanMs, because };
  };
  const wanted = new Map<number, number[]>();
  for (const { host, atMs } of arrivals) wanted.set(host, [...(wanted.get(host) ?? []), atMs - first]);
  for (const [host, times] of wanted) {
    const down = topology.hosts[host]?.place.down.bytesPerMs ?? Infinity;
    // After each arrival there is still everything from it on.
    times.sort((left, right) => left - right);
    for (const [index, atMs] of times.entries()) {
      consider(atMs + ((times.length - index) * sizeBytes) / down, `the card of host ${host}`);
    }
  }
  consider((tasks * sizeBytes) / topology.origin.up.bytesPerMs, 'the source');
  const seedRate = topology.seeds.reduce((sum, { up }) => sum + up.bytesPerMs, 0);
  if (seedRate > 0) consider((tasks * sizeBytes) / seedRate, 'the cards of the seeds');
  /** One copy of everything for whoever is told to fetch from the source; with seeds that is none of the hosts. */
  const fromSourceBytes = seedRate > 0 ? 0 : tasks * sizeBytes;
  const cards = new Map<unknown, number>();
  const demand = new Map<unknown, number>();
  const add = (map: Map<unknown, number>, key: unknown, value: number): void => {
    map.set(key, (map.get(key) ?? 0) + value);
  };
  for (const [index, { place, kind }] of topology.hosts.entries()) {
    const useful = place.up.bytesPerMs * (1 - kind.damagedPieces);
    const bytes = (wanted.get(index)?.length ?? 0) * sizeBytes;
    for (const key of ['all', place.idc, place.rack]) {
      add(cards, key, useful);
      add(demand, key, bytes);
    }
  }
  for (const place of topology.seeds) {
    for (const key of ['all', place.idc]) add(cards, key, place.up.bytesPerMs);
  }
  consider(((demand.get('all') ?? 0) - fromSourceBytes) / (cards.get('all') ?? 1), 'all cards together');
  for (const part of [...topology.idcs, ...topology.racks]) {
    const wantedInside = demand.get(part) ?? 0;
    if (wantedInside === 0) continue;
    const isAtSource = part === topology.origin.idc || topology.seeds.some(({ idc }) => idc === part);
    if (!isAtSource) consider((tasks * sizeBytes) / part.in.bytesPerMs, `the way into ${part.name}`);
    const comesFromSource = part === topology.origin.idc ? fromSourceBytes : 0;
    consider(
      (wantedInside - comesFromSource) / (part.in.bytesPerMs + (cards.get(part) ?? 0)),
      `the wires of ${part.name}`,
    );
  }
  return best;
}
