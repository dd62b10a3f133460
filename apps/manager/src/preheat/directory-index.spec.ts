import { hrefsOf, namesInJsonListing } from './directory-index.js';

describe('directory indexes', () => {
  it.each<[string, string, string[]]>([
    ['nginx', '<a href="../">../</a>\n<a href="a%20b.bin">a b.bin</a>  1-Jan  7', ['../', 'a%20b.bin']],
    [
      'Apache',
      '<td><a href="?C=N;O=D">Name</a></td><td><a href="/up/">Parent</a><a href="x.tar">x</a>',
      ['?C=N;O=D', '/up/', 'x.tar'],
    ],
    ['Python', "<li><A class='l' HREF='sub/'>sub/</a></li><a href=plain>", ['sub/', 'plain']],
    ['entities', '<a href="a&amp;b&#39;c">', ["a&b'c"]],
  ])('reads the links of %s', (_name, html, expected) => {
    expect(hrefsOf(html)).toEqual(expected);
  });

  it('takes a time that grows with the page, whatever is in it', () => {
    const startMs = performance.now();
    expect(hrefsOf('<a '.repeat(1_000_000))).toEqual([]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });

  it('reads JSON indexes of nginx and Caddy, and lists of names', () => {
    expect(namesInJsonListing('[{"name":"a b","type":"file"},{"name":"s","type":"directory"}]')).toEqual([
      './a%20b',
      './s/',
    ]);
    expect(namesInJsonListing('[{"name":"s/","is_dir":true},{"name":"x","is_dir":false},7]')).toEqual(['./s/', './x']);
    expect(namesInJsonListing('["http:x","y"]')).toEqual(['./http%3Ax', './y']);
  });

  it.each(['{}', 'null', '<html>'])('refuses %s', (text) => {
    expect(() => namesInJsonListing(text)).toThrow(/index/);
  });
});
