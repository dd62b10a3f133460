import fc from 'fast-check';
import { MAX_PIECE_COUNT, PieceSet } from './piece-set.js';

describe('PieceSet', () => {
  it('holds what a set of numbers holds, in ascending order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 })), (numbers) => {
        const pieces = new PieceSet();
        const model = new Set<number>();
        for (const number of numbers) {
          expect(pieces.add(number)).toBe(!model.has(number));
          model.add(number);
        }
        expect(pieces.size).toBe(model.size);
        expect([...pieces]).toEqual([...model].sort((left, right) => left - right));
        for (const number of [0, 1, 31, 32, 63, 64, 4999]) expect(pieces.has(number)).toBe(model.has(number));
      }),
    );
  });

  it.each([-1, 0.5, Number.NaN, MAX_PIECE_COUNT, 4_294_967_295])(
    'refuses %p without taking memory for it',
    (number) => {
      const pieces = new PieceSet();
      expect(pieces.add(number)).toBe(false);
      expect(pieces.has(number)).toBe(false);
      expect(pieces.size).toBe(0);
    },
  );
});
