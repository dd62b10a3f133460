import fc from 'fast-check';
import { IdError } from './id-error.js';
import {
  MAX_PIECE_LENGTH_BYTES,
  MIN_PIECE_LENGTH_BYTES,
  pieceCount,
  pieceLengthFor,
  pieceRange,
  piecesOfRange,
} from './piece-length.js';

describe('pieceLengthFor', () => {
  // Content length, piece length, number of pieces: run with the real client's function.
  it.each([
    [0, 4_194_304, 0],
    [1, 4_194_304, 1],
    [128, 4_194_304, 1],
    [129, 4_194_304, 1],
    [4_194_304, 4_194_304, 1],
    [4_194_305, 4_194_304, 2],
    [104_857_600, 4_194_304, 25],
    [2_097_152_000, 4_194_304, 500],
    [2_097_152_499, 4_194_304, 501],
    [2_097_152_500, 8_388_608, 251],
    [2_098_200_576, 8_388_608, 251],
    [4_194_304_000, 8_388_608, 500],
    [4_194_304_500, 16_777_216, 251],
    [8_388_608_000, 16_777_216, 500],
    [16_777_216_000, 33_554_432, 500],
    [16_777_216_500, 67_108_864, 251],
    [21_474_836_480, 67_108_864, 320],
    [33_554_432_000, 67_108_864, 500],
    [33_554_432_500, 67_108_864, 501],
    [68_719_476_736, 67_108_864, 1024],
    [1_099_511_627_776, 67_108_864, 16_384],
    [500 * 5 * 1024 * 1024, 8_388_608, 313],
    [500 * 64 * 1024 * 1024, 67_108_864, 500],
  ])('cuts %i bytes into pieces of %i bytes, %i of them', (contentLength, length, count) => {
    expect(pieceLengthFor(contentLength)).toBe(length);
    expect(pieceCount(contentLength, length)).toBe(count);
  });

  it('is a power of two between the bounds, and grows with the content', () => {
    const lengths = fc.integer({ min: 0, max: 2 ** 45 });
    fc.assert(
      fc.property(lengths, lengths, (left, right) => {
        const [small, large] = left <= right ? [left, right] : [right, left];
        const length = pieceLengthFor(small);
        expect(Number.isInteger(Math.log2(length))).toBe(true);
        expect(length).toBeGreaterThanOrEqual(MIN_PIECE_LENGTH_BYTES);
        expect(length).toBeLessThanOrEqual(MAX_PIECE_LENGTH_BYTES);
        expect(pieceLengthFor(large)).toBeGreaterThanOrEqual(length);
      }),
    );
  });

  it.each([-1, 1.5, Number.NaN, Infinity, 2 ** 53])('refuses a content length of %d', (length) => {
    expect(() => pieceLengthFor(length)).toThrow(IdError);
  });
});

describe('pieceRange', () => {
  const contents = fc.record({
    contentLength: fc.integer({ min: 1, max: 10_000 }),
    pieceLength: fc.integer({ min: 1, max: 500 }),
  });

  it('lays the pieces side by side over the whole content', () => {
    fc.assert(
      fc.property(contents, ({ contentLength, pieceLength }) => {
        let end = 0;
        for (let number = 0; number < pieceCount(contentLength, pieceLength); number++) {
          const range = pieceRange(number, contentLength, pieceLength);
          expect(range.offsetBytes).toBe(end);
          expect(range.lengthBytes).toBeGreaterThan(0);
          expect(range.lengthBytes).toBeLessThanOrEqual(pieceLength);
          end += range.lengthBytes;
        }
        expect(end).toBe(contentLength);
      }),
    );
  });

  it.each([
    [2, 10, 5],
    [-1, 10, 5],
    [0, 0, 5],
    [0.5, 10, 5],
    [0, 10, 0],
    [0, 10, -5],
  ])('refuses piece %d of %d bytes in pieces of %d', (number, contentLength, pieceLength) => {
    expect(() => pieceRange(number, contentLength, pieceLength)).toThrow(IdError);
  });
});

describe('piecesOfRange', () => {
  it('covers the range with the fewest pieces', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 0, max: 12_000 }),
        fc.integer({ min: 0, max: 12_000 }),
        (contentLength, pieceLength, start, length) => {
          const { first, count } = piecesOfRange({ start, length }, contentLength, pieceLength);
          const end = Math.min(start + length, contentLength);
          if (end <= start) {
            expect(count).toBe(0);
            return;
          }
          const head = pieceRange(first, contentLength, pieceLength);
          const tail = pieceRange(first + count - 1, contentLength, pieceLength);
          expect(head.offsetBytes).toBeLessThanOrEqual(start);
          expect(head.offsetBytes + head.lengthBytes).toBeGreaterThan(start);
          expect(tail.offsetBytes).toBeLessThan(end);
          expect(tail.offsetBytes + tail.lengthBytes).toBeGreaterThanOrEqual(end);
        },
      ),
    );
  });

  it('is all pieces for the whole content', () => {
    expect(piecesOfRange({ start: 0, length: 10 }, 10, 4)).toEqual({ first: 0, count: 3 });
  });

  it.each([
    [{ start: -1, length: 1 }, 10, 4],
    [{ start: 0, length: Number.NaN }, 10, 4],
    [{ start: 0, length: 1 }, 10, 0],
  ])('refuses %j of %d bytes in pieces of %d', (range, contentLength, pieceLength) => {
    expect(() => piecesOfRange(range, contentLength, pieceLength)).toThrow(IdError);
  });
});
