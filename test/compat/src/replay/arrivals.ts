/** Longer than any answer takes on a slow machine. */
const TIMEOUT_MS = 20_000;

/** Things that arrive one after the other and may be waited for by their number. */
export class Arrivals<T extends NonNullable<unknown>> {
  readonly all: T[] = [];
  private readonly waiting = new Set<() => void>();
  private failure: Error | undefined;

  /** @param what for the message of an error */
  constructor(private readonly what: string) {}

  add(item: T): void {
    this.all.push(item);
    for (const look of this.waiting) look();
  }

  /** Nothing more will come: who waits for more is told why. */
  fail(reason: string): void {
    this.failure ??= new Error(`${this.what} number ${this.all.length + 1} will not come: ${reason}`);
    for (const look of this.waiting) look();
  }

  /** @param index 0-based */
  async at(index: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        reject(new Error(`waited ${TIMEOUT_MS} ms for ${this.what} number ${index + 1}`));
      }, TIMEOUT_MS);
      const look = (): void => {
        const item = this.all[index];
        if (item === undefined && this.failure === undefined) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        if (item !== undefined) resolve(item);
        else if (this.failure !== undefined) reject(this.failure);
      };
      this.waiting.add(look);
      look();
    });
  }
}
