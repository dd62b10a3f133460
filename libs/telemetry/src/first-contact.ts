/** A service that another one waits for has started by then, or something is wrong. */
const START_PATIENCE_MS = 60_000;

/**
 * How loud to be about a service that does not answer. Those of a cluster start at the same time and in any order: that one is
 * not there yet is news, no warning, until it has answered for the first time or for as long as a start takes.
 */
export class FirstContact {
  readonly #startedAtMs: number;
  #isMade = false;

  /** @param nowMs monotonic */
  constructor(private readonly nowMs: () => number = () => performance.now()) {
    this.#startedAtMs = nowMs();
  }

  /** It has answered: from now on its absence is a warning. */
  made(): void {
    this.#isMade = true;
  }

  /** Of the line about an attempt that failed now. */
  get level(): 'info' | 'warn' {
    return this.#isMade || this.nowMs() - this.#startedAtMs > START_PATIENCE_MS ? 'warn' : 'info';
  }
}
