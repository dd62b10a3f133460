import { boundPatternMatching, compilePattern } from './url-pattern.js';

it('a pattern that backtracks without end is matched in bounded time', () => {
  boundPatternMatching();
  const startedAtMs = performance.now();
  expect(compilePattern('^(a+)+$').test(`${'a'.repeat(40)}b`)).toBe(false);
  expect(performance.now() - startedAtMs).toBeLessThan(2_000);
});

it.each([
  ['(?i)Secret', 'https://e.com/SECRET', true],
  ['Secret', 'https://e.com/SECRET', false],
  ['^https://e\\.com/.*\\.bin$', 'https://e.com/a.bin', true],
])('%s matches %s: %p', (pattern, url, isMatch) => {
  expect(compilePattern(pattern).test(url)).toBe(isMatch);
});
