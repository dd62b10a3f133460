/** Work in one turn of the event loop before everybody else gets a turn, in ms. */
const SLICE_MS = 8;
/** Places of jobs that have run are given up when there are so many. */
const MAX_SPENT = 1024;

/** Runs jobs in the order in which they are handed in: now, or soon. */
export interface JobRunner {
  /**
   * @returns false when the job has to wait for a turn. How many wait is bounded by who hands them in: one that does not
   *   hold back when told so may fill the memory
   */
  run(job: () => void): boolean;
}

/** For a scheduler in virtual time, where nobody else waits for a turn. */
export const atOnce: JobRunner = {
  run: (job) => {
    job();
    return true;
  },
};

/**
 * Spreads bursts of work over turns of the event loop. Without a burst a job runs where it is handed in. When thousands
 * of messages arrive together, each turn does a slice of them, so that health checks, other streams and timers get
 * through in between: a scheduler that is busy must not look dead. Whoever hands in is told to hold back meanwhile, because
 * what is read and decoded in vain takes a turn too.
 *
 * Jobs run in the order in which they were handed in, and never inside one another.
 */
export class Turns implements JobRunner {
  readonly #waiting: (() => void)[] = [];
  #next = 0;
  /** When the slice of this turn is used up, on `performance.now()`'s clock; undefined between turns. */
  #sliceEndMs: number | undefined;
  #isRunning = false;

  /** Jobs that wait for a turn. */
  get waitingCount(): number {
    return this.#waiting.length - this.#next;
  }

  /** Runs the job now, or in one of the next turns. */
  run(job: () => void): boolean {
    if (this.#isRunning || this.waitingCount > 0) {
      this.#waiting.push(job);
      return false;
    }
    const nowMs = performance.now();
    if (this.#sliceEndMs === undefined) {
      this.#sliceEndMs = nowMs + SLICE_MS;
      setImmediate(() => this.#turn());
    }
    if (nowMs >= this.#sliceEndMs) {
      this.#waiting.push(job);
      return false;
    }
    this.#isRunning = true;
    try {
      job();
    } finally {
      this.#isRunning = false;
    }
    return true;
  }

  #turn(): void {
    this.#sliceEndMs = undefined;
    if (this.waitingCount === 0) return;
    const endMs = performance.now() + SLICE_MS;
    // What is handed in during the rest of this turn waits for the next one.
    this.#sliceEndMs = endMs;
    setImmediate(() => this.#turn());
    this.#drain(endMs);
  }

  #drain(endMs: number): void {
    this.#isRunning = true;
    try {
      while (this.waitingCount > 0 && performance.now() < endMs) {
        const job = this.#waiting[this.#next];
        this.#next += 1;
        job?.();
      }
    } finally {
      this.#isRunning = false;
      this.#forget();
    }
  }

  /** Gives up the places of jobs that have run, not at every job: that would move all others. */
  #forget(): void {
    if (this.#next === this.#waiting.length) this.#waiting.length = 0;
    else if (this.#next > MAX_SPENT) this.#waiting.splice(0, this.#next);
    else return;
    this.#next = 0;
  }
}
