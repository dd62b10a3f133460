import fc from 'fast-check';
import { encodeRecord, JOURNAL_MAGIC, scanJournal, type JournalRecord } from './journal-record.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    type: fc.constant('task' as const),
    kind: fc.constantFrom('standard' as const, 'persistent' as const),
    id: fc.string(),
    meta: fc.record({
      pieceLengthBytes: u32,
      createdAtMs: fc.nat(),
      url: fc.webUrl(),
      responseHeader: fc.constant<Record<string, string>>({ 'content-type': 'text/plain' }),
    }),
  }),
  fc.record({
    type: fc.constant('piece' as const),
    number: u32,
    lengthBytes: u32,
    crc32: u32,
    parentId: fc.string({ maxLength: 100 }),
    trafficType: fc.integer({ min: 0, max: 255 }),
    costMs: u32,
    createdAtMs: fc.nat(),
  }),
  fc.record({ type: fc.constant('dropped' as const), number: u32 }),
  fc.record({ type: fc.constant('content-length' as const), contentLengthBytes: fc.nat({ max: 2 ** 31 }) }),
  fc.record({ type: fc.constant('complete' as const), atMs: fc.nat() }),
  fc.record({ type: fc.constant('failed' as const), atMs: fc.nat(), message: fc.string() }),
  fc.record({ type: fc.constantFrom('resumed' as const, 'touched' as const), atMs: fc.nat() }),
  fc.record({ type: fc.constant('boot' as const), bootId: fc.uuid() }),
  fc.record({ type: fc.constantFrom('trusted' as const, 'suspect' as const, 'unlinked' as const) }),
  fc.record({
    type: fc.constant('linked' as const),
    stamp: fc.record({
      sizeBytes: fc.bigInt({ min: 0n, max: 2n ** 63n }),
      mtimeNs: fc.bigInt({ min: 0n, max: 2n ** 63n }),
      ctimeNs: fc.bigInt({ min: 0n, max: 2n ** 63n }),
    }),
  }),
);

function fileOf(records: readonly JournalRecord[]): Buffer {
  return Buffer.concat([JOURNAL_MAGIC, ...records.map(encodeRecord)]);
}

describe('journal records', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 20 }), (records) => {
        const file = fileOf(records);
        expect(scanJournal(file)).toEqual({ records, validBytes: file.length });
      }),
    );
  });

  it('keep every whole record of a file that is cut at any byte', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), fc.nat(), (records, cut) => {
        const file = fileOf(records);
        const length = cut % (file.length + 1);
        const scan = scanJournal(file.subarray(0, length));
        expect(scan.validBytes).toBeLessThanOrEqual(length);
        expect(scan.records).toEqual(records.slice(0, scan.records.length));
        if (length >= JOURNAL_MAGIC.length) expect(fileOf(scan.records)).toHaveLength(scan.validBytes);
      }),
    );
  });

  it('end before a record with a flipped bit', () => {
    fc.assert(
      fc.property(
        fc.array(anyRecord, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        (records, at, bit) => {
          const file = fileOf(records);
          const index = JOURNAL_MAGIC.length + (at % (file.length - JOURNAL_MAGIC.length));
          file[index] = (file[index] ?? 0) ^ (1 << bit);
          const scan = scanJournal(file);
          expect(scan.validBytes).toBeLessThanOrEqual(index);
          expect(scan.records).toEqual(records.slice(0, scan.records.length));
        },
      ),
    );
  });

  it('never throw on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, withMagic) => {
        const file = Buffer.concat(withMagic ? [JOURNAL_MAGIC, bytes] : [bytes]);
        expect(scanJournal(file).validBytes).toBeLessThanOrEqual(file.length);
      }),
      { numRuns: 2000 },
    );
  });

  it('do not trust a length beyond the bound', () => {
    const frame = encodeRecord({ type: 'trusted' });
    frame.writeUInt32LE(0xffffffff, 0);
    expect(scanJournal(Buffer.concat([JOURNAL_MAGIC, frame])).records).toEqual([]);
  });
});
