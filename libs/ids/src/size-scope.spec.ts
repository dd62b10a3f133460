import { SIZE_SCOPE_NUMBERS, sizeScope } from './size-scope.js';

describe('sizeScope', () => {
  it.each([
    [undefined, undefined, 'unknown'],
    [undefined, 1, 'unknown'],
    [10, undefined, 'unknown'],
    [-1, 1, 'unknown'],
    [10, -1, 'unknown'],
    [0, 0, 'empty'],
    [1, 1, 'tiny'],
    [128, 1, 'tiny'],
    [129, 1, 'small'],
    [4_194_304, 1, 'small'],
    [4_194_305, 2, 'normal'],
  ] as const)('of %s bytes in %s pieces is %s', (contentLength, pieces, scope) => {
    expect(sizeScope(contentLength, pieces)).toBe(scope);
  });

  it('has the numbers of the wire enum', () => {
    expect(SIZE_SCOPE_NUMBERS).toEqual({ normal: 0, small: 1, tiny: 2, empty: 3, unknown: 4 });
  });
});
