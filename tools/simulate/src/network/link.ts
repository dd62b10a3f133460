import type { EventQueue, Happening } from '../time/event-queue.js';

/** Something that a link has to send. */
interface Load {
  readonly bytes: number;
  readonly isCancelled: boolean;
  /** The link sends it from now until `endMs`. */
  begin(endMs: number): void;
}

/**
 * One direction of a piece of wire: it sends what it is given in the order in which it came, at its full rate, without a
 * break as long as there is something to send. What is cancelled while it waits is never sent.
 */
export class Link {
  carriedBytes = 0;
  /** When it has sent what it has begun with. */
  #freeAtMs = 0;
  readonly #waiting: Load[] = [];
  #next = 0;

  constructor(
    readonly name: string,
    readonly bytesPerMs: number,
  ) {}

  /** Whether it sends something now. */
  isBusy(nowMs: number): boolean {
    return this.#freeAtMs > nowMs;
  }

  send(load: Load, queue: EventQueue): void {
    if (!this.isBusy(queue.nowMs) && this.#next === this.#waiting.length) {
      this.#begin(load, queue.nowMs);
      return;
    }
    this.#waiting.push(load);
    if (this.#waiting.length - this.#next === 1) this.#continueWhenFree(queue);
  }

  #continueWhenFree(queue: EventQueue): void {
    queue.at(this.#freeAtMs, {
      happen: () => {
        this.#continue(queue);
      },
    });
  }

  /** It is free again, and somebody waits. */
  #continue(queue: EventQueue): void {
    while (!this.isBusy(queue.nowMs) && this.#next < this.#waiting.length) {
      const load = this.#waiting[this.#next++];
      if (load !== undefined && !load.isCancelled) this.#begin(load, queue.nowMs);
    }
    if (this.#next < this.#waiting.length) {
      this.#continueWhenFree(queue);
      if (this.#next < MAX_SPENT) return;
    }
    this.#waiting.splice(0, this.#next);
    this.#next = 0;
  }

  #begin(load: Load, nowMs: number): void {
    this.#freeAtMs = nowMs + load.bytes / this.bytesPerMs;
    this.carriedBytes += load.bytes;
    load.begin(this.#freeAtMs);
  }
}

/** Places of what is sent are given up when there are so many. */
const MAX_SPENT = 256;

/**
 * The way of one piece through its links, cut through: a link begins as soon as the one before it has begun, and ends not
 * before it.
 *
 * Links that serve in order of arrival stand for max-min fair sharing among flows: pieces are alike in size and a
 * downloader keeps a bounded number of them on the way, so over a few pieces every link divides its rate among those who
 * want it, in proportion to the pieces that they ask for at once, and gives what one of them cannot use (because it is
 * held up elsewhere) to the others. No link ever carries more than its rate, and none idles while something waits at it.
 * What is not modelled is that pieces on their way at once finish at the same time rather than one after the other.
 * It costs at most one event per link and piece, however many share the link; recomputing fair rates at each of
 * a million piece ends would cost a pass over all flows each.
 */
export class Transfer implements Happening {
  isCancelled = false;
  #hop = 0;
  #tailMs = 0;
  #hasBegun = false;

  private constructor(
    private readonly queue: EventQueue,
    private readonly path: readonly Link[],
    readonly bytes: number,
    private readonly onDone: () => void,
  ) {}

  /** @param latencyMs from the asking to the first byte on the first link, and the way back */
  static start(
    queue: EventQueue,
    path: readonly Link[],
    bytes: number,
    latencyMs: number,
    onDone: () => void,
  ): Transfer {
    const transfer = new Transfer(queue, path, bytes, onDone);
    queue.at(queue.nowMs + latencyMs, transfer);
    return transfer;
  }

  /** A link has begun with it: its bytes go over the wire whatever becomes of it. */
  get isSent(): boolean {
    return this.#tailMs > 0;
  }

  /** Its first bytes are here. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Nothing arrives any more; the link that it waits for does not send it, those that have begun send all of it. */
  cancel(): void {
    this.isCancelled = true;
  }

  /** The links of its path take it on. */
  begin(endMs: number): void {
    this.#tailMs = Math.max(this.#tailMs, endMs);
    this.#advance();
  }

  /** It was asked for, or all of it is here. */
  happen(): void {
    if (this.isCancelled) return;
    if (this.#hasBegun) this.onDone();
    else this.#advance();
  }

  #advance(): void {
    const link = this.path[this.#hop++];
    if (link !== undefined) {
      link.send(this, this.queue);
      return;
    }
    this.#hasBegun = true;
    this.queue.at(this.#tailMs, this);
  }
}
