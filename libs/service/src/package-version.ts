import { readFileSync } from 'node:fs';

/**
 * Version in the package.json of the package that a module belongs to.
 * @param moduleUrl `import.meta.url` of a module one folder below it, such as `dist/main.js`
 */
export function packageVersion(moduleUrl: string): string {
  const text = readFileSync(new URL('../package.json', moduleUrl), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
