import { matchesAny } from './name-pattern.js';

it.each<[string, string[] | undefined, boolean]>([
  ['anything', undefined, true],
  ['anything', [], true],
  ['v1.2', ['v*'], true],
  ['v1.2', ['1.*', 'v?.?'], true],
  ['v1.20', ['v?.?'], false],
  ['library/app', ['library/*'], true],
  ['library/app', ['lib*app'], true],
  ['x', ['*x*'], true],
  ['', ['?'], false],
  ['a.c', ['a.c'], true],
  ['abc', ['a.c'], false],
])('%s of %j: %s', (name, patterns, expected) => {
  expect(matchesAny(name, patterns)).toBe(expected);
});

it('takes no longer for an evil pattern', () => {
  const startedAtMs = performance.now();
  expect(matchesAny('a'.repeat(256), [`${'*a'.repeat(100)}b`])).toBe(false);
  expect(performance.now() - startedAtMs).toBeLessThan(500);
});
