import type { HostKind, Scenario } from '../scenario/schema.js';
import { type Random, shuffled } from '../random.js';
import { Link } from './link.js';

/** Bytes per millisecond of a megabit per second. */
const BYTES_PER_MS_OF_MBIT = 125;

/** A network card in its rack and data centre. */
export interface Place {
  readonly idc: Idc;
  /** `undefined` for the origin and the seeds: they hang on the data centre's core. */
  readonly rack: Rack | undefined;
  readonly up: Link;
  readonly down: Link;
}

export interface Idc {
  readonly name: string;
  readonly out: Link;
  readonly in: Link;
}

export interface Rack {
  readonly name: string;
  readonly out: Link;
  readonly in: Link;
}

export interface PlacedHost {
  readonly place: Place;
  readonly kind: HostKind;
}

/** Who is where, and which links lie between any two. */
export class Topology {
  readonly idcs: readonly Idc[];
  readonly racks: readonly Rack[];
  readonly origin: Place;
  readonly seeds: readonly Place[];
  /** Normal hosts, in an order that says nothing about where they are or of what kind. */
  readonly hosts: readonly PlacedHost[];
  readonly #latencyMs: Scenario['latencyMs'];

  constructor(scenario: Scenario, random: Random) {
    this.#latencyMs = scenario.latencyMs;
    const idcs = new Map(
      scenario.idcs.map(({ name, wanMbit }) => [
        name,
        { name, out: link(`${name} out`, wanMbit), in: link(`${name} in`, wanMbit) },
      ]),
    );
    const idcOf = (name: string): Idc => {
      const idc = idcs.get(name);
      if (idc === undefined) throw new Error(`no idc ${name}`);
      return idc;
    };
    this.idcs = [...idcs.values()];
    this.origin = {
      idc: idcOf(scenario.origin.idc),
      rack: undefined,
      up: link('origin up', scenario.origin.uploadMbit),
      down: link('origin down', scenario.origin.uploadMbit),
    };
    this.seeds = scenario.seeds.flatMap(({ idc, count, uploadMbit, downloadMbit }) =>
      Array.from({ length: count }, (_, index) => ({
        idc: idcOf(idc),
        rack: undefined,
        up: link(`seed ${idc} ${index} up`, uploadMbit),
        down: link(`seed ${idc} ${index} down`, downloadMbit),
      })),
    );
    const racks: Rack[] = [];
    const places: { readonly idc: Idc; readonly rack: Rack }[] = [];
    for (const { name, racks: rackCount, hostsPerRack, rackMbit } of scenario.idcs) {
      for (let number = 0; number < rackCount; number++) {
        const rack = {
          name: `${name}-r${number}`,
          out: link(`${name}-r${number} out`, rackMbit),
          in: link(`${name}-r${number} in`, rackMbit),
        };
        racks.push(rack);
        for (let host = 0; host < hostsPerRack; host++) places.push({ idc: idcOf(name), rack });
      }
    }
    this.racks = racks;
    const kinds = shuffled(kindsOf(scenario.hosts, places.length), random);
    this.hosts = shuffled(places, random).map(({ idc, rack }, index): PlacedHost => {
      const kind = kinds[index];
      if (kind === undefined) throw new Error('fewer kinds than hosts');
      return {
        kind,
        place: {
          idc,
          rack,
          up: link(`host ${index} up`, kind.uploadMbit),
          down: link(`host ${index} down`, kind.downloadMbit),
        },
      };
    });
  }

  /** The links from one place to another, in order. */
  path(from: Place, to: Place): Link[] {
    if (from.rack !== undefined && from.rack === to.rack) return [from.up, to.down];
    const path = [from.up];
    if (from.rack !== undefined) path.push(from.rack.out);
    if (from.idc !== to.idc) path.push(from.idc.out, to.idc.in);
    if (to.rack !== undefined) path.push(to.rack.in);
    path.push(to.down);
    return path;
  }

  /** A round trip, without waiting anywhere. */
  roundTripMs(from: Place, to: Place): number {
    if (from.idc !== to.idc) return this.#latencyMs.wan;
    return from.rack !== undefined && from.rack === to.rack ? this.#latencyMs.rack : this.#latencyMs.idc;
  }
}

function link(name: string, mbit: number): Link {
  return new Link(name, mbit * BYTES_PER_MS_OF_MBIT);
}

/** As many kinds as hosts, in proportion to their shares. */
function kindsOf(kinds: readonly HostKind[], count: number): HostKind[] {
  const total = kinds.reduce((sum, { share }) => sum + share, 0);
  const result: HostKind[] = [];
  let upTo = 0;
  for (const kind of kinds) {
    upTo += kind.share;
    while (result.length < Math.round((upTo / total) * count)) result.push(kind);
  }
  return result;
}
