import { DfError } from '@dragonfly/errors';

/**
 * What a registry or origin says, as an answer of ours: its 401 or 404 is none of the manager's own. The original
 * answers with the text and status 500.
 * @param isImage a wrong URL of an image is such a refusal too, in the original's words
 */
export function originRefusal(error: unknown, isImage: boolean): DfError {
  const failure = DfError.from(error);
  if (failure.code === 'invalid-argument' && !isImage) {
    return failure;
  }
  return new DfError('failed-precondition', failure.message, { cause: error, details: failure.details });
}
