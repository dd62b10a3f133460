import type { EventQueue, Happening } from '../time/event-queue.js';

/**
 * One direction of a piece of wire: it sends what it is given in the order in which it came, at its full rate, without a
 * break as long as there is something to send.
 */
export class Link {
  /** When it has sent everything that it was given so far. */
  freeAtMs = 0;
  carriedBytes = 0;

  constructor(
    readonly name: string,
    readonly bytesPerMs: number,
  ) {}

  /** Time until what waits now is sent. */
  backlogMs(nowMs: number): number {
    return Math.max(0, this.freeAtMs - nowMs);
  }
}

/**
 * The way of one piece through its links, cut through: a link begins as soon as the one before it has begun, and ends not
 * before it.
 *
 * Links that serve in order of arrival stand for max-min fair sharing among flows: pieces are alike in size and a
 * downloader keeps a bounded number of them on the way, so over a few pieces every link divides its rate among those who
 * want it, in proportion to the pieces that they ask for at once, and gives what one of them cannot use (because it is
 * held up elsewhere) to the others. No link ever carries more than its rate, and none idles while something waits at it.
 * What is not modelled is that pieces on their way at once finish at the same time rather than one after the other.
 * It costs one event per link and piece, however many share the link; recomputing fair rates at each of
 * a million piece ends would cost a pass over all flows each.
 */
export class Transfer implements Happening {
  #hop = 0;
  #tailMs = 0;
  #isCancelled = false;

  private constructor(
    private readonly queue: EventQueue,
    private readonly path: readonly Link[],
    private readonly bytes: number,
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

  /** Nothing arrives any more; what the links have taken on is sent all the same. */
  cancel(): void {
    this.#isCancelled = true;
  }

  happen(): void {
    if (this.#isCancelled) return;
    const link = this.path[this.#hop++];
    if (link === undefined) {
      this.onDone();
      return;
    }
    const startMs = Math.max(this.queue.nowMs, link.freeAtMs);
    link.freeAtMs = startMs + this.bytes / link.bytesPerMs;
    link.carriedBytes += this.bytes;
    this.#tailMs = Math.max(this.#tailMs, link.freeAtMs);
    this.queue.at(this.#hop === this.path.length ? this.#tailMs : startMs, this);
  }
}
