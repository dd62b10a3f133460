/** Longest time that a timer of Node holds, about 24 days; a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A signal that aborts when the time is over. Node's own throws for parts of a millisecond, which a protobuf duration has,
 * and for what is below zero or beyond 49 days.
 * @param ms not NaN; nothing waits when it is not above 0, and nothing waits longer than about 24 days
 */
export function timeLimit(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(Math.max(0, Math.ceil(ms)), MAX_TIMER_MS));
}
