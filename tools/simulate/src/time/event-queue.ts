import type { Clock, Timer } from '@dragonfly/scheduling';

/** Something that happens at a time. */
export interface Happening {
  happen(): void;
}

/** Where virtual time begins; not 0, so that a forgotten time shows. */
export const START_MS = 1_700_000_000_000;

/**
 * Virtual time: happenings in order of their time, those of the same time in the order in which they were planned. A
 * binary heap in arrays, without an object per entry.
 */
export class EventQueue {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #happenings: Happening[] = [];
  #nextOrder = 0;
  #nowMs = START_MS;

  /** Milliseconds, with fractions. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get size(): number {
    return this.#times.length;
  }

  /** Plans a happening; one in the past happens now. */
  at(timeMs: number, happening: Happening): void {
    let index = this.#times.length;
    const time = Math.max(timeMs, this.#nowMs);
    const order = this.#nextOrder++;
    this.#times.push(time);
    this.#orders.push(order);
    this.#happenings.push(happening);
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!this.#isBefore(time, order, above)) break;
      this.#move(above, index);
      index = above;
    }
    this.#place(index, time, order, happening);
  }

  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + delayMs, { happen });
  }

  /** Lets the next one happen. @returns false when there is none */
  step(): boolean {
    const first = this.#happenings[0];
    const firstTime = this.#times[0];
    const happening = this.#happenings.pop();
    const time = this.#times.pop();
    const order = this.#orders.pop();
    if (first === undefined || firstTime === undefined || happening === undefined) return false;
    if (this.#times.length > 0) this.#sink(time ?? 0, order ?? 0, happening);
    this.#nowMs = firstTime;
    first.happen();
    return true;
  }

  #sink(time: number, order: number, happening: Happening): void {
    const length = this.#times.length;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      const right = child + 1;
      if (right < length && this.#isBefore(this.#times[right] ?? 0, this.#orders[right] ?? 0, child)) child = right;
      if (this.#isBefore(time, order, child)) break;
      this.#move(child, index);
      index = child;
    }
    this.#place(index, time, order, happening);
  }

  #isBefore(time: number, order: number, index: number): boolean {
    const other = this.#times[index] ?? 0;
    return time < other || (time === other && order < (this.#orders[index] ?? 0));
  }

  #move(from: number, to: number): void {
    const happening = this.#happenings[from];
    if (happening !== undefined) this.#place(to, this.#times[from] ?? 0, this.#orders[from] ?? 0, happening);
  }

  #place(index: number, time: number, order: number, happening: Happening): void {
    this.#times[index] = time;
    this.#orders[index] = order;
    this.#happenings[index] = happening;
  }
}

/** The scheduler's clock on virtual time, in whole milliseconds as the real one. */
export function clockOf(queue: EventQueue): Clock {
  return {
    nowMs: () => Math.floor(queue.nowMs),
    after: (delayMs, callback): Timer => {
      let isCancelled = false;
      queue.after(Math.max(0, delayMs), () => {
        if (!isCancelled) callback();
      });
      return {
        cancel: () => {
          isCancelled = true;
        },
      };
    },
  };
}
