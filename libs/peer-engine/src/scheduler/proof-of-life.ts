import { setImmediate as afterPendingInput } from 'node:timers/promises';

/** A look that ended so much after its deadline says that this process was busy, not that the scheduler is dead. */
const OWN_LATENESS_MS = 200;
/** Looks that this process may be late for. */
const MAX_LOOKS = 3;

/** What is known of a scheduler from all conversations with it. */
export interface Observed {
  /** When it last said anything, on `performance.now()`'s clock; −Infinity before. */
  readonly heardAtMs: number;
}

/**
 * Whether a scheduler lives. One that is overloaded answers others while it keeps a health check waiting, and an
 * overloaded peer reads answers late: to send all its downloads to the source then would make matters worse.
 * @param look asks the scheduler for its health; false when it did not answer within the deadline
 */
export async function isAlive(
  scheduler: Observed,
  look: (deadlineMs: number, signal: AbortSignal) => Promise<boolean>,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  for (let looks = 1; ; looks += 1) {
    const askedAtMs = performance.now();
    if (await look(deadlineMs, signal)) return true;
    if (signal.aborted) return false;
    const wasBusy = performance.now() - askedAtMs > deadlineMs + OWN_LATENESS_MS;
    // Timers run before input is read: what has arrived in time counts.
    await afterPendingInput();
    if (scheduler.heardAtMs >= askedAtMs) return true;
    if (!wasBusy || looks >= MAX_LOOKS) return false;
  }
}
