import { DfError } from '@dragonfly/errors';

/**
 * A promise that an `AbortSignal` can end early.
 * @param register hands out the two ends and returns how to stop listening; called once, unless aborted already
 * @throws DfError `cancelled` or `deadline-exceeded` when the signal fires
 */
export function abortable<T>(
  signal: AbortSignal | undefined,
  register: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) {
      reject(DfError.from(signal.reason, 'cancelled'));
      return;
    }
    const onAbort = (): void => {
      unregister();
      reject(DfError.from(signal?.reason, 'cancelled'));
    };
    const finish = (): void => {
      signal?.removeEventListener('abort', onAbort);
    };
    const unregister = register(
      (value) => {
        finish();
        resolve(value);
      },
      (error) => {
        finish();
        reject(DfError.from(error));
      },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
