/** A timer that was set; `cancel` may be called any number of times, also after it fired. */
export interface Timer {
  cancel(): void;
}

/** Time as the scheduler sees it; tests pass a clock that they advance. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Calls back once after `delayMs`; never before the current call stack has ended. */
  after(delayMs: number, callback: () => void): Timer;
}

/** Longest delay that Node's timers hold; anything longer fires at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * The real clock. Its timers do not keep the process alive. It is set by the machine's clock once: when that is put
 * forward or back later, no lease ends, no host is forgotten and no wait gets longer.
 */
export const systemClock: Clock = {
  nowMs: () => Math.floor(performance.timeOrigin + performance.now()),
  after: (delayMs, callback) => {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
    handle.unref();
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
};
