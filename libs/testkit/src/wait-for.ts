import { DfError } from '@dragonfly/errors';

export interface WaitOptions {
  /** What is waited for, for the error message. */
  readonly what: string;
  /** Long: it bounds a test that fails on a machine that may be busy with other things. @default 30_000 */
  readonly timeoutMs?: number;
  /** Time between looks. @default 20 */
  readonly intervalMs?: number;
}

/**
 * Looks until `probe` returns something other than false, null or undefined, and returns that. For state that offers no
 * event, such as files and other processes.
 * @throws DfError `deadline-exceeded` naming `what`, with the last error of the probe as cause
 */
export async function waitFor<T>(
  probe: () => T | false | null | undefined | Promise<T | false | null | undefined>,
  options: WaitOptions,
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const startedAt = performance.now();
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() - startedAt > timeoutMs) {
      throw new DfError('deadline-exceeded', `waited ${timeoutMs} ms for ${options.what}`, { cause: lastError });
    }
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 20));
  }
}
