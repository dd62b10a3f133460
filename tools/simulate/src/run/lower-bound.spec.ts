import { Topology } from '../network/topology.js';
import { randomOf } from '../random.js';
import { scenarioSchema } from '../scenario/schema.js';
import { lowerBound } from './lower-bound.js';
import { jainIndex, quantile } from './statistics.js';

const MIB_BITS = 1024 * 1024 * 8;

/** Four hosts of 80 Mbit in one rack, 10 MiB, everybody at once; everything else wide. */
function bound(changes: object, arrivals = [0, 1, 2, 3].map((host) => ({ atMs: 0, host, task: 0 }))) {
  const scenario = scenarioSchema.parse({
    name: 'bound',
    description: '',
    content: { sizeMib: 10 },
    origin: { idc: 'a', uploadMbit: 1e6 },
    idcs: [{ name: 'a', racks: 1, hostsPerRack: 4, rackMbit: 1e6, wanMbit: 1e6 }],
    hosts: [{ share: 1, uploadMbit: 1e6, downloadMbit: 1e6 }],
    arrivals: { kind: 'burst', withinSeconds: 0 },
    ...changes,
  });
  const { makespanMs, because } = lowerBound(scenario, new Topology(scenario, randomOf(1)), arrivals);
  return { makespanMs, because };
}

describe('lower bound on the makespan, hand-computed', () => {
  it.each<[string, object, number, string]>([
    [
      'download cards',
      { hosts: [{ share: 1, uploadMbit: 1e6, downloadMbit: 8 }] },
      (10 * MIB_BITS) / 8000,
      'the card of host 0',
    ],
    ['the source', { origin: { idc: 'a', uploadMbit: 4 } }, (10 * MIB_BITS) / 4000, 'the source'],
    [
      'the seeds',
      { seeds: [{ idc: 'a', count: 2, uploadMbit: 2, downloadMbit: 100 }] },
      (10 * MIB_BITS) / 4000,
      'the cards of the seeds',
    ],
    // Three copies of four come from the hosts' own cards; the first from the source.
    [
      'upload cards',
      { hosts: [{ share: 1, uploadMbit: 2, downloadMbit: 1e6 }] },
      (30 * MIB_BITS) / 8000,
      'all cards together',
    ],
    [
      'the way into another data centre',
      {
        idcs: [
          { name: 'a', racks: 1, hostsPerRack: 2, rackMbit: 1e6, wanMbit: 1e6 },
          { name: 'b', racks: 1, hostsPerRack: 2, rackMbit: 1e6, wanMbit: 3 },
        ],
      },
      (10 * MIB_BITS) / 3000,
      'the way into b',
    ],
  ])('%s', (_name, changes, makespanMs, because) => {
    expect(bound(changes)).toEqual({ makespanMs: expect.closeTo(makespanMs, 6), because });
  });

  it('a host that comes late cannot be done before its own time is over', () => {
    const hosts = [{ share: 1, uploadMbit: 1e6, downloadMbit: 80 }];
    const { makespanMs } = bound({ hosts }, [
      { atMs: 1000, host: 0, task: 0 },
      { atMs: 5000, host: 1, task: 0 },
    ]);
    expect(makespanMs).toBeCloseTo(4000 + (10 * MIB_BITS) / 80_000, 6);
  });
});

it("Jain's index is 1 for equal shares and 1/n for one who has everything", () => {
  expect(jainIndex([3, 3, 3, 3])).toBe(1);
  expect(jainIndex([5, 0, 0, 0])).toBe(0.25);
  expect(jainIndex([0, 0])).toBe(1);
});

it('quantiles lie between the neighbours', () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4], 1)).toBe(4);
  expect(quantile([], 0.5)).toBe(0);
});
