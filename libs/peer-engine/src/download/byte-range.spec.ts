import { parseRangeHeader, resolveRange } from './byte-range.js';

describe('parseRangeHeader', () => {
  it.each([
    ['bytes=0-0', { kind: 'span', start: 0, length: 1 }],
    ['bytes=5-9', { kind: 'span', start: 5, length: 5 }],
    ['bytes = 5 - 9', { kind: 'span', start: 5, length: 5 }],
    ['bytes=5-', { kind: 'from', start: 5 }],
    ['bytes=-5', { kind: 'suffix', length: 5 }],
    ['bytes=0-1,5-6', { kind: 'span', start: 0, length: 2 }],
  ])('reads %s', (header, expected) => {
    expect(parseRangeHeader(header)).toEqual(expected);
  });

  it.each(['', 'bytes=', 'bytes=-', 'bytes=9-5', 'lines=1-2', 'bytes=a-b', 'bytes=99999999999999999999-'])(
    'refuses "%s"',
    (header) => {
      expect(() => parseRangeHeader(header)).toThrow(expect.objectContaining({ code: 'failed-precondition' }));
    },
  );
});

describe('resolveRange', () => {
  it.each([
    [{ kind: 'span', start: 2, length: 3 } as const, 10, { start: 2, length: 3 }],
    [{ kind: 'span', start: 8, length: 9 } as const, 10, { start: 8, length: 2 }],
    [{ kind: 'from', start: 4 } as const, 10, { start: 4, length: 6 }],
    [{ kind: 'suffix', length: 4 } as const, 10, { start: 6, length: 4 }],
    [{ kind: 'suffix', length: 40 } as const, 10, { start: 0, length: 10 }],
  ])('cuts %j to %d bytes', (range, length, expected) => {
    expect(resolveRange(range, length)).toEqual(expected);
  });

  it.each([
    [{ kind: 'from', start: 10 } as const, 10],
    [{ kind: 'span', start: 0, length: 0 } as const, 10],
    [{ kind: 'suffix', length: 0 } as const, 10],
    [{ kind: 'from', start: 0 } as const, 0],
  ])('refuses %j of %d bytes', (range, length) => {
    expect(() => resolveRange(range, length)).toThrow('lies outside');
  });
});
