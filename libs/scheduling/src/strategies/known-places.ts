import type { ScoredHost } from '../strategy.js';

/** In place of a number: of a data centre without a name, and of any beyond the bound. */
export const NO_IDC = 0;
/** Places beyond the bound are not numbered. */
export const UNNUMBERED = -1;

/** Where a host says it is. */
export interface KnownPlace {
  /** Of the data centre, case aside. */
  readonly idc: number;
  readonly location: string;
}

interface Idc {
  readonly number: number;
  readonly places: Map<string, number>;
}

/** Numbers for data centres and for places in them: what depends on places alone is computed once for each in a decision. */
export class KnownPlaces {
  readonly #idcs = new Map<string, Idc>();
  readonly #places: KnownPlace[] = [];
  #idcCount = NO_IDC;
  readonly #nowhere: Idc = { number: NO_IDC, places: new Map() };

  constructor(
    private readonly maxIdcs: number,
    private readonly maxPlaces: number,
  ) {}

  /** 0 and up, below `maxPlaces`; or {@link UNNUMBERED}. */
  numberOf(facts: ScoredHost['facts']): number {
    const idc = this.#idc(facts.idc);
    const known = idc.places.get(facts.location);
    if (known !== undefined) return known;
    if (this.#places.length >= this.maxPlaces) return UNNUMBERED;
    const number = this.#places.push({ idc: idc.number, location: facts.location }) - 1;
    idc.places.set(facts.location, number);
    return number;
  }

  placeOf(facts: ScoredHost['facts']): KnownPlace {
    return this.#places[this.numberOf(facts)] ?? { idc: this.#idc(facts.idc).number, location: facts.location };
  }

  #idc(name: string): Idc {
    if (name === '') return this.#nowhere;
    const known = this.#idcs.get(name);
    if (known !== undefined) return known;
    const lower = name.toLowerCase();
    const idc = this.#idcs.get(lower) ?? { number: this.#idcCount + 1, places: new Map<string, number>() };
    if (this.#idcs.size >= this.maxIdcs) return this.#nowhere;
    this.#idcCount = Math.max(this.#idcCount, idc.number);
    this.#idcs.set(lower, idc).set(name, idc);
    return idc;
  }
}
