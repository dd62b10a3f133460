import { DfError } from '@dragonfly/errors';

/** A store that does not answer in time is as good as away; callers know one code for both. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (caught) {
    const error = DfError.from(caught, 'unavailable');
    if (error.code !== 'deadline-exceeded' && error.code !== 'unavailable') throw error;
    throw new DfError('unavailable', `the store of persistent tasks cannot be reached: ${error.message}`, {
      cause: error,
      retryable: true,
    });
  }
}
