/** Passes the first call on, and then at most one in each interval; the others are dropped. */
export function atMostEvery<A extends unknown[]>(
  intervalMs: number,
  call: (...values: A) => void,
  now: () => number = () => performance.now(),
): (...values: A) => void {
  let lastMs = -Infinity;
  return (...values) => {
    const nowMs = now();
    if (nowMs - lastMs >= intervalMs) {
      lastMs = nowMs;
      call(...values);
    }
  };
}
