import { createHash } from 'node:crypto';
import type { StoredTask } from '@dragonfly/piece-store';

/**
 * Request metadata of SyncPieces: which version of the content the child has begun. A parent that holds another one
 * refuses, so that pieces of two versions never meet in one file, whoever noticed the change first. Daemons of the
 * original neither send nor read it.
 */
export const CONTENT_VERSION_KEY = 'x-dragonfly-content-version';

/** Hex characters: enough to tell versions of one URL apart. */
const VERSION_LENGTH = 16;

/**
 * What the origin told apart its versions by when this daemon asked it, as a short text.
 * @returns undefined when the origin tells nothing of the kind
 */
export function contentVersionOf({ meta }: Pick<StoredTask, 'meta'>): string | undefined {
  const { etag, 'last-modified': lastModified } = meta.responseHeader ?? {};
  if (etag === undefined && lastModified === undefined) return undefined;
  return createHash('sha256')
    .update(JSON.stringify([etag, lastModified]))
    .digest('hex')
    .slice(0, VERSION_LENGTH);
}
