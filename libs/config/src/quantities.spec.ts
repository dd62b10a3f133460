import fc from 'fast-check';
import { formatBytes, formatDuration, parseByteSize, parseDuration } from './index.js';

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['30s', 30_000],
    ['1h0m0s', 3_600_000],
    ['1h 30m', 5_400_000],
    ['500ms', 500],
    ['0.5s', 500],
    ['250us', 0.25],
    ['7d', 604_800_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '30', 's', '30 parsecs', '-1s', '1h30', '101y', '99999d'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError);
  });

  it('reads back what formatDuration wrote', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBeCloseTo(ms, 3);
      }),
    );
  });
});

describe('parseByteSize', () => {
  it.each([
    ['4096', 4096],
    ['4MiB', 4 * 1024 ** 2],
    ['4mib', 4 * 1024 ** 2],
    ['1024Mi', 1024 ** 3],
    ['50GB', 50 * 10 ** 9],
    ['20M', 20 * 10 ** 6],
    ['1.5KiB', 1536],
    ['10 kB', 10_000],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  it('reads 20M as mebibytes where the file is of the 2.0 line', () => {
    expect(parseByteSize('20M', { binaryPrefixes: true })).toBe(20 * 1024 ** 2);
  });

  it.each(['', 'MiB', '4iB', '-1', '4XB', '1e9', '10000PiB'])('refuses %j', (text) => {
    expect(() => parseByteSize(text)).toThrow(RangeError);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [4 * 1024 ** 2, '4 MiB'],
    [1024 ** 2 - 1, '1 MiB'],
  ])('shows %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
