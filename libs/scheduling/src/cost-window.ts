/** Costs that are remembered of one peer; the number is the original scheduler's. */
export const COST_WINDOW_LENGTH = 2000;

/** With fewer costs nothing is said about a peer. */
const MIN_COSTS = 2;
/** Before the window is full: this many times the mean of the others is an outlier. */
const OUTLIER_FACTOR = 20;
/** With a full window: this many standard deviations above the mean of the others is an outlier. */
const OUTLIER_DEVIATIONS = 3;

const FIRST_CAPACITY = 16;

/**
 * The last {@link COST_WINDOW_LENGTH} piece costs of a peer, with running sums: adding and judging cost the same however
 * many there are. Memory grows with the number of costs (4 bytes each), so that the usual peer of a few hundred pieces
 * stays small.
 */
export class CostWindow {
  /** Ring of costs in milliseconds; `#next` is where the next one goes. */
  #costs: Float32Array | undefined;
  #length = 0;
  #next = 0;
  #sum = 0;
  #sumOfSquares = 0;
  #isLastAnOutlier = false;

  /** Costs held, at most {@link COST_WINDOW_LENGTH}. */
  get length(): number {
    return this.#length;
  }

  /** The cost added last in milliseconds; 0 when there is none. */
  get lastMs(): number {
    if (this.#costs === undefined || this.#length === 0) return 0;
    return this.#costs[(this.#next + COST_WINDOW_LENGTH - 1) % COST_WINDOW_LENGTH] ?? 0;
  }

  /** @param costMs time one piece took; negative and non-finite values count as 0 */
  add(costMs: number): void {
    const cost = Math.fround(Number.isFinite(costMs) && costMs > 0 ? costMs : 0);
    const costs = this.#withCapacity(this.#next + 1);
    if (this.#length === COST_WINDOW_LENGTH) {
      const evicted = costs[this.#next] ?? 0;
      this.#sum -= evicted;
      this.#sumOfSquares -= evicted * evicted;
    } else {
      this.#length += 1;
    }
    costs[this.#next] = cost;
    this.#sum += cost;
    this.#sumOfSquares += cost * cost;
    this.#next = (this.#next + 1) % COST_WINDOW_LENGTH;
    // Subtraction leaves rounding errors behind; once a round they are thrown away.
    if (this.#next === 0) this.#recompute(costs);
    this.#isLastAnOutlier = this.#judge();
  }

  /** No further cost is expected: gives the memory back and keeps what was made of the last one. */
  settle(): void {
    this.#costs = undefined;
    this.#length = 0;
    this.#next = 0;
    this.#sum = 0;
    this.#sumOfSquares = 0;
  }

  /**
   * Whether the last cost stands out so far that the peer should not be offered as a parent.
   *
   * Below a full window: more than 20 times the mean of the others. With a full one: more than their mean plus three
   * (population) standard deviations.
   */
  isLastAnOutlier(): boolean {
    return this.#isLastAnOutlier;
  }

  /** Once for each cost: it is asked far more often. */
  #judge(): boolean {
    if (this.#length < MIN_COSTS) return false;
    const last = this.lastMs;
    const others = this.#length - 1;
    const mean = (this.#sum - last) / others;
    if (this.#length < COST_WINDOW_LENGTH) return last > mean * OUTLIER_FACTOR;
    const variance = Math.max(0, (this.#sumOfSquares - last * last) / others - mean * mean);
    return last > mean + OUTLIER_DEVIATIONS * Math.sqrt(variance);
  }

  #withCapacity(needed: number): Float32Array {
    const current = this.#costs;
    if (current !== undefined && current.length >= needed) return current;
    const capacity = Math.min(COST_WINDOW_LENGTH, Math.max(needed, (current?.length ?? 0) * 2, FIRST_CAPACITY));
    const grown = new Float32Array(capacity);
    if (current !== undefined) grown.set(current);
    this.#costs = grown;
    return grown;
  }

  #recompute(costs: Float32Array): void {
    let sum = 0;
    let sumOfSquares = 0;
    for (let index = 0; index < this.#length; index++) {
      const cost = costs[index] ?? 0;
      sum += cost;
      sumOfSquares += cost * cost;
    }
    this.#sum = sum;
    this.#sumOfSquares = sumOfSquares;
  }
}
