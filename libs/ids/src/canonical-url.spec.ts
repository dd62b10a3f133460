import fc from 'fast-check';
import { canonicalUrl } from './canonical-url.js';
import { DEFAULT_FILTERED_QUERY_PARAMS } from './filtered-query-params.js';

describe('canonicalUrl by the rule of 1.5.10', () => {
  it.each([
    ['drops filtered names', 'https://example.com/file.txt?z=9&b=2&a=1', ['z'], 'https://example.com/file.txt?a=1&b=2'],
    [
      'keeps the order of values of one name',
      'https://example.com/f?b=2&a=1&b=1',
      ['c'],
      'https://example.com/f?a=1&b=2&b=1',
    ],
    ['keeps an empty path empty', 'https://example.com?foo=foo', ['foo'], 'https://example.com'],
    ['keeps an empty path empty before a query', 'https://example.com?a=1', ['zzz'], 'https://example.com?a=1'],
    ['keeps an empty path empty before a fragment', 'https://example.com#top', ['zzz'], 'https://example.com#top'],
    ['keeps a root path', 'https://example.com/?foo=foo', ['foo'], 'https://example.com/'],
    [
      'escapes like Go',
      'https://example.com/f?k=a b&m=x*y&n=c~d&o=1%2B1&p=%E4%B8%AD',
      ['none'],
      'https://example.com/f?k=a+b&m=x%2Ay&n=c~d&o=1%2B1&p=%E4%B8%AD',
    ],
    ['keeps the fragment', 'http://www.xx.yy/path?u=f&x=y&m=z&x=s#size', ['x', 'm'], 'http://www.xx.yy/path?u=f#size'],
    ['drops segments with a semicolon', 'https://example.com/f?a=1;x&b=2', ['none'], 'https://example.com/f?b=2'],
    [
      'gives a name without a value an equals sign',
      'https://example.com/f?flag',
      ['none'],
      'https://example.com/f?flag=',
    ],
    ['drops an empty query', 'https://example.com/f?', ['none'], 'https://example.com/f'],
    ['keeps a name that begins with a question mark', 'https://e.com/f??a=1', ['none'], 'https://e.com/f?%3Fa=1'],
    ['matches names exactly', 'https://e.com/f?NS=1&ns=2', ['ns'], 'https://e.com/f?NS=1'],
    ['drops default port and dot segments', 'HTTPS://E.com:443/a/../b?a=1', ['none'], 'https://e.com/b?a=1'],
    ['keeps user information', 'https://me:pw@e.com?a=1', ['a'], 'https://me:pw@e.com'],
    ['works without an authority path', 's3://bucket?versionId=1&x=2', ['x'], 's3://bucket?versionId=1'],
  ])('%s', (_rule, url, filters, expected) => {
    expect(canonicalUrl(url, filters)).toBe(expected);
  });

  it('takes any text as it is when nothing is filtered', () => {
    fc.assert(fc.property(fc.string(), (text) => canonicalUrl(text, []) === text));
  });

  const names = fc.constantFrom('a', 'b', 'c', 'Expires', 'ns', 'é', '𝄞', '￼', 'x y', '');
  const queries = fc.array(fc.tuple(names, fc.string({ unit: 'grapheme', maxLength: 8 })), { maxLength: 8 });
  const urls = fc.tuple(fc.webUrl({ withFragments: true }), queries).map(([base, pairs]) => {
    const [beforeFragment = '', fragment] = base.split('#');
    const query = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
    return `${beforeFragment}?${query}${fragment === undefined ? '' : `#${fragment}`}`;
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(urls, (url) => {
        const once = canonicalUrl(url, DEFAULT_FILTERED_QUERY_PARAMS);
        expect(canonicalUrl(once, DEFAULT_FILTERED_QUERY_PARAMS)).toBe(once);
      }),
    );
  });

  it('does not depend on the order of differently named parameters', () => {
    fc.assert(
      fc.property(fc.uniqueArray(names, { minLength: 1 }), (list) => {
        const url = (order: readonly string[]) =>
          `https://e.com/f?${order.map((name) => `${encodeURIComponent(name)}=v`).join('&')}`;
        expect(canonicalUrl(url([...list].reverse()), ['zzz'])).toBe(canonicalUrl(url(list), ['zzz']));
      }),
    );
  });

  it('sorts names by their UTF-8 bytes, not by UTF-16 units', () => {
    // U+FFFC is below U+1D11E, whose first UTF-16 unit is 0xD834.
    expect(canonicalUrl('https://e.com/f?%F0%9D%84%9E=1&%EF%BF%BC=2', ['zzz'])).toBe(
      'https://e.com/f?%EF%BF%BC=2&%F0%9D%84%9E=1',
    );
  });
});

describe('DEFAULT_FILTERED_QUERY_PARAMS', () => {
  it('has every name once', () => {
    expect(new Set(DEFAULT_FILTERED_QUERY_PARAMS).size).toBe(DEFAULT_FILTERED_QUERY_PARAMS.length);
    expect(DEFAULT_FILTERED_QUERY_PARAMS).toHaveLength(30);
  });
});
