import { DfError } from '@dragonfly/errors';

/**
 * Runs a "find, else insert" again when somebody else inserted the same row in between: the second run finds it.
 * @throws what the second run throws
 */
export async function onceMoreOnConflict<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof DfError && error.code === 'already-exists') {
      return run();
    }
    throw error;
  }
}
