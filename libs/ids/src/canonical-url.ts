import { IdError } from './id-error.js';

/** Which release's rule turns a URL into the text that is hashed. */
export type UrlRule =
  /** Releases from 1.5.10 (and, but for URL normalisation, the Go scheduler's preheat): see {@link canonicalUrl}. */
  | '1.5.10'
  /** Releases up to 1.5.1: always parsed and normalised, parameters kept in their order, a bare `/` path dropped. */
  | '1.5.1';

/**
 * The URL as it goes into a task id.
 *
 * Rule 1.5.10: without filters the URL is taken as it is, to the byte, even when it is none. With filters it is parsed
 * (WHATWG: host in lower case, default port and dot segments gone), query segments that hold a `;` and parameters named
 * in the filter (exact, case-sensitive) are dropped, the rest is sorted by name (values of one name keep their order) and
 * escaped again like Go's QueryEscape: space becomes `+`, only letters, digits and `-._~` stay. An empty path stays
 * empty, the fragment stays, an empty query loses its `?`.
 *
 * @param filteredQueryParams names to leave out; an empty list also switches the sorting off
 * @throws IdError `invalid-url` when the URL must be parsed and cannot be
 */
export function canonicalUrl(url: string, filteredQueryParams: readonly string[], rule: UrlRule = '1.5.10'): string {
  switch (rule) {
    case '1.5.10':
      return filteredQueryParams.length === 0 ? url : sortedAndFiltered(url, filteredQueryParams);
    case '1.5.1':
      return filteredInOrder(url, filteredQueryParams);
  }
}

function sortedAndFiltered(url: string, filteredQueryParams: readonly string[]): string {
  const parsed = parse(url);
  const pairs = parsed.search
    .slice(1)
    .split('&')
    .filter((segment) => !segment.includes(';'))
    // The constructor drops one leading question mark: give it one, so that a name may begin with another.
    .flatMap((segment) => [...new URLSearchParams(`?${segment}`)])
    .filter(([name]) => !filteredQueryParams.includes(name));
  // Array.prototype.sort is stable: values of one name keep their order.
  pairs.sort(([left], [right]) => compareUtf8(left, right));
  parsed.search = pairs.map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`).join('&');
  return hasEmptyPath(url) ? withoutRootPath(parsed) : parsed.href;
}

function filteredInOrder(url: string, filteredQueryParams: readonly string[]): string {
  const parsed = parse(url);
  const kept = [...parsed.searchParams].filter(([name]) => !filteredQueryParams.includes(name));
  parsed.search = new URLSearchParams(kept).toString();
  const { href } = parsed;
  return parsed.pathname === '/' && href.endsWith('/') ? href.slice(0, -1) : href;
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch (error) {
    throw new IdError('invalid-url', `"${url}" is not an absolute URL`, { cause: error });
  }
}

/** Order of the UTF-8 bytes. (JavaScript's own order differs for characters beyond U+FFFF.) */
function compareUtf8(left: string, right: string): number {
  return left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** Go's url.QueryEscape; encodeURIComponent leaves five characters more. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

/** True when nothing stands between the authority and the query, fragment or end. */
function hasEmptyPath(url: string): boolean {
  return /^[^:/?#]*:[\\/]*[^\\/?#]*(?:[?#]|$)/.test(url.trim());
}

/** The text of the URL without the `/` that the parser puts in place of an empty path. */
function withoutRootPath(parsed: URL): string {
  const { href } = parsed;
  if (parsed.pathname !== '/') return href;
  const path = href.indexOf('/', href.indexOf('://') + '://'.length);
  return href.slice(0, path) + href.slice(path + 1);
}
