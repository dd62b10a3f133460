import { parseContentRange } from './content-range.js';

describe('parseContentRange', () => {
  it.each([
    ['bytes 0-0/1', { kind: 'part', startBytes: 0, endBytes: 0, totalBytes: 1 }],
    ['Bytes 5-9/100', { kind: 'part', startBytes: 5, endBytes: 9, totalBytes: 100 }],
    ['bytes 5-9/*', { kind: 'part', startBytes: 5, endBytes: 9, totalBytes: undefined }],
    ['bytes */100', { kind: 'unsatisfied', totalBytes: 100 }],
  ])('reads %s', (value, expected) => {
    expect(parseContentRange(value)).toEqual(expected);
  });

  it.each([
    '',
    'bytes',
    '0-1/2',
    'items 0-1/2',
    'bytes 2-1/3',
    'bytes 0-3/3',
    'bytes 0-1/',
    'bytes -1/2',
    'bytes 0-1',
    'bytes 0-99999999999999999/*',
  ])('does not read %j', (value) => {
    expect(parseContentRange(value)).toBeUndefined();
  });
});
