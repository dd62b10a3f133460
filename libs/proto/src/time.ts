import type { Duration } from './gen/google/protobuf/duration.js';

const MS_PER_SECOND = 1000;
const NANOS_PER_MS = 1_000_000;

/** A google.protobuf.Duration as milliseconds; fractions of a millisecond are kept as far as a double holds them. */
export function durationToMs(duration: Pick<Duration, 'seconds' | 'nanos'>): number {
  return Number(duration.seconds) * MS_PER_SECOND + duration.nanos / NANOS_PER_MS;
}

/**
 * Milliseconds as a google.protobuf.Duration. Seconds and nanos carry the same sign, as the type demands.
 * @param ms finite; nanoseconds are rounded
 * @throws RangeError when `ms` is not finite
 */
export function msToDuration(ms: number): Duration {
  if (!Number.isFinite(ms)) throw new RangeError(`not a finite number of milliseconds: ${ms}`);
  let seconds = Math.trunc(ms / MS_PER_SECOND);
  let nanos = Math.round((ms - seconds * MS_PER_SECOND) * NANOS_PER_MS);
  if (Math.abs(nanos) === MS_PER_SECOND * NANOS_PER_MS) {
    seconds += Math.sign(nanos);
    nanos = 0;
  }
  return { seconds: BigInt(seconds), nanos: nanos === 0 ? 0 : nanos };
}
