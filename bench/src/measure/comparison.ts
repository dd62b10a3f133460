import { median } from './statistics.ts';

/** Figures of one measurement of one subject, by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>;

export interface Row {
  readonly subject: string;
  /** Median, smallest and largest value of each figure over the rounds. */
  readonly figures: Readonly<Record<string, { median: number; min: number; max: number }>>;
  /** Median over the rounds of (this ÷ the reference of the same round); absent for the reference and without one. */
  readonly ratioToReference?: number;
  readonly reference?: string;
  readonly rounds: number;
}

interface Subject {
  readonly reference: string | undefined;
  readonly samples: Map<number, Figures>;
}

/** Measurements of several subjects in the same rounds, and what they say about each other. */
export class Comparison {
  private readonly subjects = new Map<string, Subject>();
  private readonly ratioFigure: string;

  /** @param ratioFigure the figure that ratios are made of */
  constructor(ratioFigure: string) {
    this.ratioFigure = ratioFigure;
  }

  /** @param reference the subject to compare with, measured in the same round */
  add(round: number, subject: string, figures: Figures, reference?: string): void {
    const entry = this.subjects.get(subject) ?? { reference, samples: new Map<number, Figures>() };
    entry.samples.set(round, figures);
    this.subjects.set(subject, entry);
  }

  rows(): Row[] {
    return [...this.subjects].map(([subject, { reference, samples }]) => {
      const names = new Set([...samples.values()].flatMap((figures) => Object.keys(figures)));
      const figures = Object.fromEntries(
        [...names].map((name) => {
          const values = [...samples.values()].flatMap((sample) => sample[name] ?? []);
          return [name, { median: median(values), min: Math.min(...values), max: Math.max(...values) }];
        }),
      );
      const ratios = reference === undefined ? [] : this.ratios(samples, reference);
      return {
        subject,
        figures,
        ...(ratios.length === 0 ? {} : { ratioToReference: median(ratios), reference }),
        rounds: samples.size,
      };
    });
  }

  private ratios(samples: ReadonlyMap<number, Figures>, reference: string): number[] {
    const others = this.subjects.get(reference)?.samples;
    return [...samples].flatMap(([round, figures]) => {
      const own = figures[this.ratioFigure];
      const other = others?.get(round)?.[this.ratioFigure];
      return own === undefined || other === undefined ? [] : [own / other];
    });
  }
}
