import { fileURLToPath } from 'node:url';

/** The working copy. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** A file of the working copy. */
export function inRoot(path: string): string {
  return `${ROOT}${path}`;
}
