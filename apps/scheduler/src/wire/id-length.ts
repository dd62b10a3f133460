import { DfError } from '@dragonfly/errors';

/** Longest id of a host, task or peer, in characters; real ones have fewer than 400. Ids are kept and compared. */
export const MAX_ID_LENGTH = 1024;

/** @throws DfError `invalid-argument` naming the field of the first id that is too long */
export function checkIdLengths(ids: Readonly<Record<string, string>>): void {
  for (const [field, id] of Object.entries(ids)) {
    if (id.length > MAX_ID_LENGTH) {
      throw new DfError(
        'invalid-argument',
        `${field}: must have at most ${MAX_ID_LENGTH} characters, has ${id.length}`,
      );
    }
  }
}
