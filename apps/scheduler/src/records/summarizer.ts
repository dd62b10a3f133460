import type { DownloadRecord } from './download-record.js';

/** What sums are made for; undefined = no groups. */
export type GroupOf = ((record: DownloadRecord) => string) | undefined;

/** Sums of one interval and group. */
export interface Summary {
  /** Undefined without intervals. */
  readonly beginsAtMs: number | undefined;
  readonly key: string;
  readonly downloads: number;
  /** Failed or abandoned. */
  readonly failures: number;
  readonly sourceBytes: number;
  readonly peerBytes: number;
  readonly seedBytes: number;
  readonly crossIdcBytes: number;
  /** Of those that succeeded; 0 when none has. */
  readonly meanCostMs: number;
  /** The same, up to 5 % too high. */
  readonly p99CostMs: number;
}

/** Sums that are kept at a time, over all intervals; further groups are put together under {@link OTHERS}. */
const MAX_SUMS = 50_000;
export const OTHERS = '(others)';
/** Costs are counted in classes, each so much wider than the one below. */
const COST_CLASS_FACTOR = 1.05;

class Sum {
  downloads = 0;
  failures = 0;
  sourceBytes = 0;
  peerBytes = 0;
  seedBytes = 0;
  crossIdcBytes = 0;
  #costMs = 0;
  #succeeded = 0;
  readonly #costClasses = new Map<number, number>();

  add(record: DownloadRecord): void {
    this.downloads += 1;
    this.sourceBytes += record.sourceBytes;
    this.peerBytes += record.peerBytes;
    this.seedBytes += record.seedBytes;
    this.crossIdcBytes += record.crossIdcBytes;
    if (record.result !== 'succeeded') {
      this.failures += 1;
      return;
    }
    const costMs = Math.max(0, record.endedAtMs - record.startedAtMs);
    this.#succeeded += 1;
    this.#costMs += costMs;
    const costClass = Math.ceil(Math.log(Math.max(1, costMs)) / Math.log(COST_CLASS_FACTOR));
    this.#costClasses.set(costClass, (this.#costClasses.get(costClass) ?? 0) + 1);
  }

  get meanCostMs(): number {
    return this.#succeeded === 0 ? 0 : this.#costMs / this.#succeeded;
  }

  get p99CostMs(): number {
    let left = Math.ceil(this.#succeeded * 0.99);
    for (const [costClass, count] of [...this.#costClasses].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.round(COST_CLASS_FACTOR ** costClass);
    }
    return 0;
  }
}

/** Adds records up by interval of their end and by group. */
export class Summarizer {
  readonly #intervals = new Map<number, Map<string, Sum>>();
  #sums = 0;

  /** @param intervalMs 0 = one interval */
  constructor(
    private readonly intervalMs: number,
    private readonly groupOf: GroupOf,
  ) {}

  add(record: DownloadRecord): void {
    const beginsAtMs = this.intervalMs === 0 ? 0 : Math.floor(record.endedAtMs / this.intervalMs) * this.intervalMs;
    let groups = this.#intervals.get(beginsAtMs);
    if (groups === undefined) {
      groups = new Map();
      this.#intervals.set(beginsAtMs, groups);
    }
    const wanted = this.groupOf?.(record) ?? '';
    const key = groups.has(wanted) || this.#sums < MAX_SUMS ? wanted : OTHERS;
    let sum = groups.get(key);
    if (sum === undefined) {
      sum = new Sum();
      groups.set(key, sum);
      this.#sums += 1;
    }
    sum.add(record);
  }

  /** @param groupLimit groups of each interval, those with most downloads */
  result(groupLimit: number): Summary[] {
    const intervals = [...this.#intervals].sort(([a], [b]) => a - b);
    return intervals.flatMap(([beginsAtMs, groups]) =>
      [...groups]
        .sort(([keyA, a], [keyB, b]) => b.downloads - a.downloads || (keyA < keyB ? -1 : 1))
        .slice(0, groupLimit)
        .map(([key, sum]) => ({
          beginsAtMs: this.intervalMs === 0 ? undefined : beginsAtMs,
          key,
          downloads: sum.downloads,
          failures: sum.failures,
          sourceBytes: sum.sourceBytes,
          peerBytes: sum.peerBytes,
          seedBytes: sum.seedBytes,
          crossIdcBytes: sum.crossIdcBytes,
          meanCostMs: sum.meanCostMs,
          p99CostMs: sum.p99CostMs,
        })),
    );
  }
}
