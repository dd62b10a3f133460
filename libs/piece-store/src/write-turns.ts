/**
 * Lets the writes to one file happen one after the other. Linux holds a lock of the inode while it writes: a second write
 * to the same file waits for it, spinning, on one of the few threads that all files and all readers of the process share.
 */
export class WriteTurns {
  #last: Promise<void> = Promise.resolve();

  /** Calls `write` once all earlier ones have settled. @returns what `write` returns; its failure is its caller's alone */
  take(write: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(write);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
