import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';

/**
 * Pause before attempt `failures + 1`: doubles from `firstMs` up to `maxMs`, with up to a quarter taken off at random so
 * that a crowd does not return in step.
 * @param failures attempts that failed so far, at least 1
 */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return full * (1 - Math.random() / 4);
}

/** Longest delay that a timer of Node takes, about 24 days; of a longer one it makes 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Waits, at most {@link MAX_TIMER_MS}. @returns false when the signal ended the wait; never throws */
export async function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(Math.min(ms, MAX_TIMER_MS), undefined, { signal, ref: false });
    return true;
  } catch {
    // The only reason for `delay` to reject is the signal.
    return false;
  }
}

/** Waits until a promise settles or the time is over, whatever comes first. Errors of the promise are passed on. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  const timeout = Promise.withResolvers<'late'>();
  const timer = setTimeout(
    () => {
      timeout.resolve('late');
    },
    Math.min(ms, MAX_TIMER_MS),
  );
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a promise that is not one's own to cancel. @throws DfError `cancelled` (or the signal's own reason) */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(DfError.from(signal.reason, 'cancelled'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
