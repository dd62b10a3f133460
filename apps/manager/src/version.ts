import { readFileSync } from 'node:fs';

/** Version of this program, from its package file. */
export const VERSION = String(
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: unknown }).version,
);

/** How this program names itself to others; the prefix marks ours. */
export const GIT_VERSION = `dfts-${VERSION}`;
