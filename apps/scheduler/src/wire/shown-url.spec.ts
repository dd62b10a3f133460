import { shownUrl } from './shown-url.js';

it.each([
  ['https://example.com/a/b?x=1&y=2#f', 'https://example.com/a/b?x=1&y=2#f'],
  ['https://user:p%40ss@example.com/a', 'https://example.com/a'],
  ['https://us@er@example.com/a@b?c=d@e', 'https://example.com/a@b?c=d@e'],
  ['https://example.com/a@b', 'https://example.com/a@b'],
  [
    'https://b.s3.amazonaws.com/k?X-Amz-Signature=abc&X-Amz-Credential=def&versionId=7',
    'https://b.s3.amazonaws.com/k?X-Amz-Signature=***&X-Amz-Credential=***&versionId=7',
  ],
  ['https://e.com/k?X%2DAmz%2DSignature=abc#x', 'https://e.com/k?X%2DAmz%2DSignature=***#x'],
  [
    'https://e.com/k?access_token=abc&api-key=1&sig=2&password=3',
    'https://e.com/k?access_token=***&api-key=***&sig=***&password=***',
  ],
  ['https://e.com/k?ns=docker.io&monkey=1&token', 'https://e.com/k?ns=docker.io&monkey=1&token'],
  ['https://e.com/k?%E0%A4%A=1&secret=2', 'https://e.com/k?%E0%A4%A=1&secret=***'],
  ['not a url', 'not a url'],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});

it('a long URL takes time in proportion to its length', () => {
  const url = `https://${'a'.repeat(200_000)}/?${'b=c&'.repeat(50_000)}`;
  const startedAtMs = performance.now();
  expect(shownUrl(url)).toBe(url);
  expect(performance.now() - startedAtMs).toBeLessThan(2_000);
});
