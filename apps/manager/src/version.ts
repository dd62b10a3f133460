import { packageVersion } from '@dragonfly/service';

/** Version of this program, from its package file. */
export const VERSION = packageVersion(import.meta.url);

/** How this program names itself to others; the prefix marks ours. */
export const GIT_VERSION = `dfts-${VERSION}`;
