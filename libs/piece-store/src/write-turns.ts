interface WaitingWrite {
  readonly position: number;
  readonly begin: () => void;
}

/**
 * Lets the writes to one file happen one after the other. Linux holds a lock of the inode while it writes: a second write
 * to the same file waits for it, spinning, on one of the few threads that all files and all readers of the process share.
 *
 * Of those that wait the one nearest to the beginning of the file comes next. So pieces that arrive together are finished
 * one after another, each as early as can be, instead of all at the same late moment: whoever fetches them from here has
 * something to do meanwhile. A write far behind waits at most for the bytes before it.
 */
export class WriteTurns {
  /** A few for each piece that is on its way here. */
  readonly #waiting: WaitingWrite[] = [];
  #isBusy = false;

  /**
   * Calls `write` when it is its turn.
   * @param position in the file, bytes
   * @returns what `write` returns; its failure is its caller's alone
   */
  async take(position: number, write: () => Promise<void>): Promise<void> {
    if (this.#isBusy) await new Promise<void>((begin) => this.#waiting.push({ position, begin }));
    this.#isBusy = true;
    try {
      await write();
    } finally {
      this.#passOn();
    }
  }

  /** Stays busy when another one begins, so that none who comes just then is in between. */
  #passOn(): void {
    let first = 0;
    for (const [index, { position }] of this.#waiting.entries()) {
      if (position < (this.#waiting[first]?.position ?? Infinity)) first = index;
    }
    const [next] = this.#waiting.splice(first, 1);
    this.#isBusy = next !== undefined;
    next?.begin();
  }
}
