import fc from 'fast-check';
import { FrameError } from './frame-error.js';
import {
  contentTag,
  decodeErrorValue,
  decodeFrameHeader,
  decodePieceContentValue,
  decodePieceRequest,
  encodeErrorFrame,
  encodeFrameHeader,
  encodePieceContentHead,
  encodePieceRequest,
  FRAME_HEADER_LENGTH_BYTES,
  isWireTaskId,
  MAX_ANSWER_VALUE_LENGTH_BYTES,
  MAX_DIGEST_LENGTH_BYTES,
  MAX_ERROR_TEXT_LENGTH_BYTES,
  MAX_PARENT_ID_LENGTH_BYTES,
  meaningOfTag,
  type PieceKind,
  type PieceMetadata,
  requestTag,
  WIRE_ERROR_CODES,
} from './frame.js';

const TASK_ID = 'ab'.repeat(32);
const KINDS: readonly PieceKind[] = ['standard', 'persistent', 'persistent-cache', 'cache'];
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const valueOf = (frame: Buffer) => frame.subarray(FRAME_HEADER_LENGTH_BYTES);

const PIECE: PieceMetadata = {
  number: 3,
  offsetBytes: 12_582_912,
  lengthBytes: 4_194_304,
  digest: 'crc32:2533597436',
  parentId: '10.0.0.2-peer-uuid',
  trafficType: 1,
  costMs: 1_700,
  createdAtMs: 1_700_000_000_000,
};

/** Bytes made by running the real client's codec, releases 1.5.1 and 1.5.10 (equal). */
const GOLDEN = {
  pieceContentValue: hex(
    '0000004f 00000003 0000000000c00000 0000000000400000 00000010 63726333323a32353333353937343336' +
      '00000012 31302e302e302e322d706565722d75756964 01 0000000000000001 000000006553f100',
  ),
  secondPieceContentValue: hex(
    '00000048 0000002a 0000000000000400 0000000000000800 0000000e 63726333323a3836346262623034' +
      '0000000d 3132372e302e302e312d666f6f 01 000000000000001e 000000006553f100',
  ),
  errorValue: hex('02 7069656365 2078 206e6f7420666f756e64'),
};

describe('tags', () => {
  it('come in pairs of request and content, one for each task kind', () => {
    expect(KINDS.map((kind) => [requestTag(kind), contentTag(kind)])).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ]);
  });

  it('all have a meaning', () => {
    for (const kind of KINDS) {
      expect(meaningOfTag(requestTag(kind))).toEqual({ type: 'request', kind });
      expect(meaningOfTag(contentTag(kind))).toEqual({ type: 'content', kind });
    }
    for (let tag = 8; tag < 254; tag++) expect(meaningOfTag(tag)).toEqual({ type: 'reserved' });
    expect(meaningOfTag(254)).toEqual({ type: 'close' });
    expect(meaningOfTag(255)).toEqual({ type: 'error' });
  });
});

describe('frame header', () => {
  it('is packet id, tag and value length', () => {
    const header = { packetId: 0x7f, tag: 1, valueLengthBytes: 0x53 };
    expect(encodeFrameHeader(header).toString('hex')).toBe('7f0100000053');
    expect(decodeFrameHeader(hex('7f0100000053ffff'))).toEqual(header);
  });

  it('needs six bytes', () => {
    expect(() => decodeFrameHeader(hex('7f01000000'))).toThrow(expect.objectContaining({ code: 'too-short' }));
  });
});

describe('piece request', () => {
  it('is 64 characters and the piece number', () => {
    const frame = encodePieceRequest('standard', { taskId: TASK_ID, pieceNumber: 7 }, 9);
    expect(frame.toString('latin1', 6, 70)).toBe(TASK_ID);
    expect(frame.toString('hex')).toBe(`0900${'00000044'}${'6162'.repeat(32)}00000007`);
  });

  it.each(KINDS)('comes back as it was sent (%s)', (kind) => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: 64, maxLength: 64 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (taskId, pieceNumber) => {
          const frame = encodePieceRequest(kind, { taskId, pieceNumber });
          expect(decodeFrameHeader(frame)).toMatchObject({ tag: requestTag(kind), valueLengthBytes: 68 });
          expect(decodePieceRequest(valueOf(frame))).toEqual({ taskId, pieceNumber });
        },
      ),
    );
  });

  it.each([
    ['a'.repeat(63), 0, 'invalid-task-id'],
    ['a'.repeat(128), 0, 'invalid-task-id'],
    ['g'.repeat(64), 0, 'invalid-task-id'],
    [`${'a'.repeat(63)}\n`, 0, 'invalid-task-id'],
    [TASK_ID, -1, 'invalid-number'],
    [TASK_ID, 1.5, 'invalid-number'],
    [TASK_ID, 2 ** 32, 'invalid-number'],
  ])('cannot be made of %j and %d', (taskId, pieceNumber, code) => {
    expect(() => encodePieceRequest('standard', { taskId, pieceNumber })).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    ['a byte short', Buffer.alloc(67, 'a'), 'too-short'],
    ['a byte long', Buffer.alloc(69, 'a'), 'too-long'],
    ['not hex', Buffer.alloc(68, 'x'), 'invalid-task-id'],
    ['a path', Buffer.concat([Buffer.alloc(64, '../'), Buffer.alloc(4)]), 'invalid-task-id'],
  ])('is refused when it is %s', (_what, value, code) => {
    expect(() => decodePieceRequest(value)).toThrow(expect.objectContaining({ name: 'FrameError', code }));
  });

  it('knows which ids fit', () => {
    expect(isWireTaskId(TASK_ID)).toBe(true);
    expect(isWireTaskId('1234abcd')).toBe(false);
  });
});

describe('piece content', () => {
  it('is written byte for byte as the real client writes it', () => {
    const frame = encodePieceContentHead('standard', PIECE, 0xee);
    expect(frame.subarray(0, 6).toString('hex')).toBe('ee0100000053');
    expect(valueOf(frame).equals(GOLDEN.pieceContentValue)).toBe(true);
  });

  it('is read as the real client writes it; cost and time come in whole seconds', () => {
    expect(decodePieceContentValue(GOLDEN.pieceContentValue)).toEqual({ ...PIECE, costMs: 1_000 });
    expect(decodePieceContentValue(GOLDEN.secondPieceContentValue)).toEqual({
      number: 42,
      offsetBytes: 1024,
      lengthBytes: 2048,
      digest: 'crc32:864bbb04',
      parentId: '127.0.0.1-foo',
      trafficType: 1,
      costMs: 30_000,
      createdAtMs: 1_700_000_000_000,
    });
  });

  const counts = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
  const pieces: fc.Arbitrary<PieceMetadata> = fc.record({
    number: fc.integer({ min: 0, max: 0xffff_ffff }),
    offsetBytes: counts,
    lengthBytes: counts,
    digest: fc.string({ maxLength: 100 }),
    parentId: fc.string({ unit: 'grapheme', maxLength: 100 }),
    trafficType: fc.integer({ min: 0, max: 255 }),
    costMs: seconds.map((value) => value * 1000),
    createdAtMs: seconds.map((value) => value * 1000),
  });

  it.each(KINDS)('comes back as it was sent (%s)', (kind) => {
    fc.assert(
      fc.property(pieces, (piece) => {
        const frame = encodePieceContentHead(kind, piece);
        const header = decodeFrameHeader(frame);
        expect(header.tag).toBe(contentTag(kind));
        expect(header.valueLengthBytes).toBe(frame.length - FRAME_HEADER_LENGTH_BYTES);
        expect(decodePieceContentValue(valueOf(frame))).toEqual(piece);
      }),
    );
  });

  it('may have an empty digest and an empty parent', () => {
    const piece = { ...PIECE, digest: '', parentId: '', costMs: 0 };
    expect(decodePieceContentValue(valueOf(encodePieceContentHead('standard', piece)))).toEqual(piece);
  });

  it('may carry fields of a later release behind the known ones', () => {
    const longer = Buffer.concat([GOLDEN.pieceContentValue, Buffer.from('later')]);
    longer.writeUInt32BE(longer.length - 4, 0);
    expect(decodePieceContentValue(longer)).toEqual({ ...PIECE, costMs: 1_000 });
  });

  it('is refused at every truncation', () => {
    for (let length = 0; length < GOLDEN.pieceContentValue.length; length++) {
      expect(() => decodePieceContentValue(GOLDEN.pieceContentValue.subarray(0, length))).toThrow(FrameError);
    }
  });

  it.each([
    ['metadata length', 0, 0x50, 'too-short'],
    ['metadata length, huge', 0, 0xffff_ffff, 'too-short'],
    ['metadata length, short', 0, 0x4e, 'too-short'],
    ['digest length', 24, MAX_DIGEST_LENGTH_BYTES + 1, 'too-long'],
    ['digest length, huge', 24, 0xffff_ffff, 'too-long'],
    ['digest length over the end', 24, 0x50, 'too-short'],
    ['parent id length, huge', 44, 0xffff_ffff, 'too-long'],
    ['upper half of the offset', 8, 0x0020_0000, 'invalid-number'],
    ['upper half of the length', 16, 0xffff_ffff, 'invalid-number'],
  ])('is refused when a wrong number stands in its %s', (_field, at, number, code) => {
    const value = Buffer.from(GOLDEN.pieceContentValue);
    value.writeUInt32BE(number, at);
    expect(() => decodePieceContentValue(value)).toThrow(expect.objectContaining({ name: 'FrameError', code }));
  });

  it('is refused when it is longer than any answer may be', () => {
    expect(() => decodePieceContentValue(Buffer.alloc(MAX_ANSWER_VALUE_LENGTH_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'too-long' }),
    );
  });

  it.each<[string, Partial<PieceMetadata>, string]>([
    ['a long digest', { digest: 'd'.repeat(MAX_DIGEST_LENGTH_BYTES + 1) }, 'too-long'],
    ['a long parent id', { parentId: 'é'.repeat(MAX_PARENT_ID_LENGTH_BYTES / 2 + 1) }, 'too-long'],
    ['a negative offset', { offsetBytes: -1 }, 'invalid-number'],
    ['a broken length', { lengthBytes: 0.5 }, 'invalid-number'],
    ['no number', { number: Number.NaN }, 'invalid-number'],
    ['no time', { createdAtMs: Number.NaN }, 'invalid-number'],
    ['a negative cost', { costMs: -1 }, 'invalid-number'],
  ])('cannot be made with %s', (_what, part, code) => {
    expect(() => encodePieceContentHead('standard', { ...PIECE, ...part })).toThrow(
      expect.objectContaining({ name: 'FrameError', code }),
    );
  });
});

describe('error', () => {
  it('is written byte for byte as the real client writes it', () => {
    const frame = encodeErrorFrame({ code: WIRE_ERROR_CODES.notFound, text: 'piece x not found' }, 1);
    expect(frame.subarray(0, 6).toString('hex')).toBe('01ff00000012');
    expect(valueOf(frame).equals(GOLDEN.errorValue)).toBe(true);
    expect(decodeErrorValue(GOLDEN.errorValue)).toEqual({ code: 2, text: 'piece x not found' });
  });

  it('cuts a long text between characters', () => {
    for (let shift = 0; shift < 4; shift++) {
      const frame = encodeErrorFrame({ code: 3, text: 'x'.repeat(shift) + '𝄞'.repeat(1000) });
      const { text } = decodeErrorValue(valueOf(frame));
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_ERROR_TEXT_LENGTH_BYTES);
      expect(text).toMatch(/^x{0,3}𝄞+$/u);
    }
  });

  it('may have reserved codes and bytes that are no text, but not nothing', () => {
    expect(decodeErrorValue(hex('c8'))).toEqual({ code: 200, text: '' });
    expect(decodeErrorValue(hex('00ff'))).toEqual({ code: 0, text: '\uFFFD' });
    expect(() => decodeErrorValue(Buffer.alloc(0))).toThrow(expect.objectContaining({ code: 'too-short' }));
    expect(() => decodeErrorValue(Buffer.alloc(MAX_ANSWER_VALUE_LENGTH_BYTES + 1))).toThrow(FrameError);
  });
});

describe('any bytes', () => {
  const decoders = [decodeFrameHeader, decodePieceRequest, decodePieceContentValue, decodeErrorValue];

  /** Decodes a view into a larger buffer, so that a read past the view's end would find bytes and go unnoticed… */
  const decodeAll = (bytes: Uint8Array) => {
    const around = Buffer.alloc(bytes.length + 64, 0xa5);
    around.set(bytes, 32);
    const view = around.subarray(32, 32 + bytes.length);
    for (const decode of decoders) {
      const run = () => {
        try {
          return { value: decode(view) };
        } catch (error) {
          if (error instanceof FrameError) return { code: error.code };
          throw error;
        }
      };
      const result = run();
      // … but for the result, which must not change with what lies around the view.
      around.fill(0x5a, 0, 32).fill(0x5a, 32 + bytes.length);
      expect(run()).toEqual(result);
      around.fill(0xa5, 0, 32).fill(0xa5, 32 + bytes.length);
    }
  };

  it('are decoded or refused with a FrameError', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodeAll), { numRuns: 500 });
  });

  it('are decoded or refused with a FrameError when they are a valid frame with bytes changed', () => {
    const change = fc.tuple(fc.nat(200), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(100), (changes, length) => {
        const value = Buffer.from(GOLDEN.pieceContentValue);
        for (const [at, byte] of changes) value[at % value.length] = byte;
        decodeAll(value.subarray(0, length));
      }),
      { numRuns: 500 },
    );
  });
});
