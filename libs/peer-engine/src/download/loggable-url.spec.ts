import { loggableUrl } from './loggable-url.js';

describe('loggableUrl', () => {
  it.each([
    ['https://origin/file?X-Amz-Signature=secret', 'https://origin/file'],
    ['https://user:secret@origin/file#part', 'https://origin/file'],
    ['https://user:p@ss@origin/a@b', 'https://origin/a@b'],
    ['https://origin', 'https://origin'],
  ])('makes %s into %s', (url, expected) => {
    expect(loggableUrl(url)).toBe(expected);
  });
});
