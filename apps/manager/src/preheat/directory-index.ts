import { DfError } from '@dragonfly/errors';

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'" };

/** Targets of the links of an index page (nginx, Apache, Python, Caddy …), in their order. */
export function hrefsOf(html: string): string[] {
  const found: string[] = [];
  // Another "<" ends a tag that has no end: a page of nothing but beginnings would be read anew from each of them.
  for (const match of html.matchAll(/<a\s[^<>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))/gi)) {
    const text = match[1] ?? match[2] ?? match[3] ?? '';
    found.push(text.replace(/&(#?\w+);/g, (all, name: string) => ENTITIES[name] ?? all));
  }
  return found;
}

/**
 * Names of a JSON index: an array of names, or of `{name, type}` as nginx (`directory`) and Caddy (`is_dir`) write them.
 * Directories get a slash at the end, names are escaped as paths of a URL.
 * @throws DfError `origin` when it is something else
 */
export function namesInJsonListing(text: string): string[] {
  let listing: unknown;
  try {
    listing = JSON.parse(text);
  } catch (error) {
    throw new DfError('origin', 'the index says that it is JSON and is not', { cause: error });
  }
  if (!Array.isArray(listing)) {
    throw new DfError('origin', 'the JSON index is no list');
  }
  return listing.flatMap((entry: unknown): string[] => {
    if (typeof entry === 'string') {
      return [escaped(entry)];
    }
    if (typeof entry !== 'object' || entry === null) {
      return [];
    }
    const { name, type, is_dir: isDirectory } = entry as { name?: unknown; type?: unknown; is_dir?: unknown };
    if (typeof name !== 'string' || name === '') {
      return [];
    }
    const isFolder = (type === 'directory' || isDirectory === true) && !name.endsWith('/');
    return [escaped(isFolder ? `${name}/` : name)];
  });
}

function escaped(name: string): string {
  // "./" keeps a colon in a name from being read as a scheme.
  return `./${name
    .replace(/^\.?\//, '')
    .split('/')
    .map(encodeURIComponent)
    .join('/')}`;
}
