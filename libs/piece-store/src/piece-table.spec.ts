import fc from 'fast-check';
import { MAX_PIECES_PER_TASK, PieceTable } from './piece-table.js';

const entry = {
  lengthBytes: 10,
  crc32: 0xffffffff,
  parentId: '',
  trafficType: 1,
  costMs: 3,
  createdAtMs: 1_700_000_000_000,
};

type Step =
  | { readonly do: 'set'; readonly number: number; readonly lengthBytes: number; readonly parentId: string }
  | { readonly do: 'delete' | 'suspect' | 'trust'; readonly number: number }
  | { readonly do: 'suspectAll' }
  | { readonly do: 'trustAll' };

const number = fc.nat({ max: 60 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    number,
    lengthBytes: fc.nat({ max: 100 }),
    parentId: fc.constantFrom('', 'a', 'b'),
  }),
  fc.record({ do: fc.constantFrom('delete' as const, 'suspect' as const, 'trust' as const), number }),
  fc.record({ do: fc.constant('suspectAll' as const) }),
  fc.record({ do: fc.constant('trustAll' as const) }),
);

describe('PieceTable', () => {
  it('agrees with a plain map after any sequence of changes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const table = new PieceTable(100);
        const model = new Map<number, { lengthBytes: number; parentId: string; isSuspect: boolean }>();
        for (const change of steps) {
          if (change.do === 'suspectAll') table.suspectAll();
          else if (change.do === 'trustAll') table.trustAll();
          else if (change.do === 'set') {
            table.set(change.number, { ...entry, lengthBytes: change.lengthBytes, parentId: change.parentId });
            model.set(change.number, { lengthBytes: change.lengthBytes, parentId: change.parentId, isSuspect: false });
          } else table[change.do](change.number);

          if (change.do === 'delete') model.delete(change.number);
          for (const [key, value] of model) {
            if (change.do === 'suspectAll' || (change.do === 'suspect' && change.number === key)) {
              value.isSuspect = true;
            }
            if (change.do === 'trustAll' || (change.do === 'trust' && change.number === key)) value.isSuspect = false;
          }
        }
        expect([...table.numbers()]).toEqual([...model.keys()].sort((a, b) => a - b));
        expect(table.count).toBe(model.size);
        expect(table.suspectCount).toBe([...model.values()].filter((piece) => piece.isSuspect).length);
        expect(table.totalBytes).toBe([...model.values()].reduce((sum, piece) => sum + piece.lengthBytes, 0));
        for (const [key, value] of model) {
          expect(table.isSuspect(key)).toBe(value.isSuspect);
          expect(table.get(key)).toMatchObject({
            offsetBytes: key * 100,
            lengthBytes: value.lengthBytes,
            parentId: value.parentId,
          });
        }
      }),
    );
  });

  it('writes the checksum as an unsigned decimal', () => {
    const table = new PieceTable(100);
    table.set(0, entry);
    expect(table.get(0)?.digest).toBe('crc32:4294967295');
  });

  it('refuses a number beyond the bound instead of allocating for it', () => {
    expect(() => new PieceTable(100).set(MAX_PIECES_PER_TASK, entry)).toThrow(/must be below/);
  });
});
