import type { Database } from '@dragonfly/persistence';
import { AccessCache, AccessDirectory } from '../src/auth/access-directory.js';

/** The access directory without a cache. */
export function freshAccess(database: Database): AccessCache {
  return { get: () => AccessDirectory.load(database), invalidate: () => Promise.resolve() };
}
